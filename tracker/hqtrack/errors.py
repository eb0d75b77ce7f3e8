"""Errors that the caller can fix. Every message says how."""


class InputError(ValueError):
    """An input cannot be used: an image, a mask, a folder, an option."""


class MissingFileError(FileNotFoundError, InputError):
    """A requested file or folder does not exist."""
