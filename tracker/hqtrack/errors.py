"""Errors that the caller can fix. Every message says how."""


class InputError(ValueError):
    """An input cannot be used: an image, a mask, a folder, an option."""


class MissingFileError(FileNotFoundError, InputError):
    """A requested file or folder does not exist."""


def one_line(error: BaseException) -> str:
    """The message of an error in one line, or the name of its class if it has no message."""
    return " ".join(str(error).split()) or type(error).__name__
