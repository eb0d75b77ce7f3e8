"""Which hqtrack this is."""

from importlib import metadata


def version() -> str:
    """The version that is installed; a checkout that is only on the path has none."""
    try:
        return metadata.version("hqtrack")
    except metadata.PackageNotFoundError:
        return "(not installed)"
