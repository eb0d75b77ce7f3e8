"""The local web application: objects, prompts and corrections of a video in a browser."""
