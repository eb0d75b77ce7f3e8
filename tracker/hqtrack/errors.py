"""What goes wrong because of what we were given. Every message says what to do about it."""


class InputError(ValueError):
    """Something the caller handed over cannot be used: an image, a mask, a folder, an option."""


class MissingFileError(FileNotFoundError, InputError):
    """A file or folder that was asked for is not there."""
