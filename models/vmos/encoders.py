"""The factory of image encoders."""

from vmos.config import TimmConfig, VMOSConfig
from vmos.encoder import Encoder
from vmos.internimage import InternImage
from vmos.timm_encoder import TimmEncoder


def build_encoder(config: VMOSConfig) -> Encoder:
    """The encoder that the configuration names, with random weights; nothing is fetched.

    Raises ValueError where timm has no such model or it does not fit.
    """
    if isinstance(config.encoder, TimmConfig):
        return TimmEncoder(config.encoder, config.widths[2], config.joined)
    return InternImage(config.encoder, config.widths[2], config.joined)
