"""Options of the training of VMOS: defaults, recipes and configurations."""

import json
from pathlib import Path
from typing import Any

from hqtrack.errors import InputError
from hqtrack.light import LIGHT_SEGMENTER, LIGHT_VMOS
from hqtrack.segmenter import SegmenterConfig
from vmos import VMOSConfig

HELD_OUT = ("dance-jump", "rhino", "scooter-gray")
"""Training sequences that are held out to choose between models."""


CONFIGS = {"light": LIGHT_VMOS, "full": VMOSConfig()}


BOTH_STAGES = {
    "batch": 16,
    "warm_up": 1000,
    "average": 0.9999,
    "size": 465,
    "frames": 5,
    "generated": 0.0,
    "memory_gap": 2,
    "transport": 0.0,
    "save_every": 1000,
    "log_every": 50,
    "sample_every": 1000,
    "evaluate_every": 5000,
}


RECIPES: dict[str, dict[str, Any]] = {
    "stage1": BOTH_STAGES
    | {
        "steps": 100_000,
        "learning_rate": 4e-4,
        "last_learning_rate": 2e-5,
        "weight_decay": 0.03,
        "video": 0.0,
    },
    "stage2": BOTH_STAGES
    | {
        "steps": 150_000,
        "learning_rate": 2e-4,
        "last_learning_rate": 1e-5,
        "weight_decay": 0.07,
        "video": 1.0,
    }
    | {"encoder_ratio": 0.1},
}
"""The stages of the HQTrack report as defaults of the options.

Batch, warm-up, average and what is written how often are ours: the report does not give them.
"""


LEAST = {"frames": 2} | dict.fromkeys(("steps", "batch", "max_gap", "save_every", "log_every"), 1)


HELP = {
    "steps": "steps of the complete run",
    "batch": "clips per step, over all processes",
    "optimizer": "adamw or muon, see docs/training.md",
    "learning_rate": "highest learning rate",
    "last_learning_rate": "learning rate at the end",
    "power": "exponent of the polynomial decay",
    "warm_up": "steps until the highest learning rate",
    "weight_decay": "weight decay of matrices and kernels",
    "clip": "largest norm of the gradient",
    "average": "decay of the moving average of the weights",
    "seed": "seed of clips and random generators",
    "workers": "processes that load clips",
    "save_every": "steps between checkpoints",
    "log_every": "steps between lines of the log",
    "sample_every": "steps between sample pictures, 0 for none",
    "evaluate_every": "steps between evaluations on the held-out videos, 0 for none",
    "size": "height of the clips, pixels",
    "width": "width of the clips, pixels (0: as their height)",
    "frames": "frames per clip",
    "video": "share of clips from video",
    "generated": "share of generated clips among the others",
    "hidden": "share of clips in which something is painted over for a while",
    "max_gap": "largest distance between two frames of a clip, in video frames",
    "widest": "largest height of a crop from video, relative to the frame's short side",
    "mosaic": "share of the clips from video that show four at half the size",
    "zoom": "how much clips from video change their scale",
    "hardest": "share of the pixels that the cross entropy uses",
    "transport": "weight of the loss on the labels that attention alone carries",
    "truth": "share of frames that enter memory with true labels",
    "stale": "share of frames that enter memory with stale labels",
    "damaged": "share of frames that enter memory with damaged labels",
    "unknown": "share of frames that enter memory with one object unknown",
    "reference_only": "share of clips with only the reference frame in long-term memory",
    "memory_gap": "one frame in so many enters long-term memory",
}
"""Options that are fields of a configuration; their defaults are those of the fields."""


def read_config(name: str) -> tuple[VMOSConfig, SegmenterConfig]:
    """The network of this name or JSON file, and the configuration of its segmenter.

    A network from a file uses the segmenter of the light tracker. Raises InputError.
    """
    if name in CONFIGS:
        return CONFIGS[name], SegmenterConfig() if name == "full" else LIGHT_SEGMENTER
    try:
        config = VMOSConfig.from_dict(json.loads(Path(name).read_text()))
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise InputError(
            f"--config {name}: {error}; give {', '.join(CONFIGS)} or a JSON file with fields of "
            'VMOSConfig, like {"widths": [16, 32, 64], "encoder": {"name": "resnet18"}}'
        ) from error
    return config, LIGHT_SEGMENTER
