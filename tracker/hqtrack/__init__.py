"""HQTrack: tracking anything in high quality."""
