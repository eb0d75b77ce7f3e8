"""Records of tracked videos, and the page that shows them."""
