"""Exports the weights of a run: `python -m training.export RUN FILE`.

The run is one of `training.vmos` or `training.hqsam.light`. The averaged weights of its newest
checkpoint are used, or their mean with weights that another run began from or ended with
(Wortsman et al., 2022).
"""

import argparse
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from hqsam import build_hqsam
from hqtrack import weights as known
from hqtrack.errors import InputError, exit_status
from hqtrack.light import LIGHT_VMOS
from hqtrack.weights import note_checksum
from training.engine.run_folder import CHECKPOINT, read_checkpoint
from training.hqsam.interactive import LIGHT_RUN
from vmos import VMOSConfig, build_vmos
from vmos.checkpoint import CheckpointError


def export(run: Path, file: Path, other: Path | None = None, share: float = 0.5) -> str:
    """Write the weights in 16 bits, with the configuration as metadata; describes the file.

    With `other`, a file of weights of the same network, this `share` of the result is its weights.

    Raises InputError if the run has no checkpoint of a VMOS or an HQ-SAM light, the other weights
    are those of another network, or the file cannot be written.
    """
    if not 0 <= share <= 1:
        raise InputError(f"a share of {share}: give a number from 0 to 1")
    state = read_checkpoint(run / CHECKPOINT)
    sizes = dict(state.get("configuration", {}))
    try:
        if sizes == LIGHT_RUN:
            model: nn.Module = build_hqsam("light", state["average"])
        elif sizes.pop("network", "vmos") == "vmos":
            # old runs without a stored configuration are those of the light network
            config = VMOSConfig.from_dict(sizes) if sizes else LIGHT_VMOS
            model = build_vmos(config, state["average"])
        else:
            raise InputError(
                f"{run} is not a run of training.vmos or training.hqsam.light; training.hqsam has "
                "its own --export"
            )
    except (CheckpointError, ValueError) as error:
        raise InputError(f"{run}: {error}") from error
    tensors = model.state_dict()
    if other is not None:
        tensors = blend(tensors, known.load(other), share, other)
    tensors = {name: value.half() for name, value in tensors.items()}
    told = {"steps": str(state["step"]), "configuration": json.dumps(sizes)}
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, file, metadata={"format": "pt", **told})
        note_checksum(file)
    except (OSError, SafetensorError) as error:
        raise InputError(f"cannot write {file}: {error}") from error
    count = sum(parameter.numel() for parameter in model.parameters())
    size = file.stat().st_size / 2**20
    return f"{file}: {count} parameters, {size:.1f} MiB, step {state['step']}"


def blend(
    own: Mapping[str, Tensor], others: Mapping[str, Tensor], share: float, place: Path
) -> dict[str, Tensor]:
    """The weighted mean of two sets of tensors; raises InputError if these are not the same."""
    if {name: one.shape for name, one in own.items()} != {
        name: one.shape for name, one in others.items()
    }:
        raise InputError(f"{place} has the weights of another network than the run")
    return {name: one.float().lerp(others[name].float(), share) for name, one in own.items()}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="training.export", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("file", type=Path, help="the file to write, *.safetensors")
    parser.add_argument("--with", dest="other", type=Path, metavar="WEIGHTS", help="mix these in")
    parser.add_argument("--share", type=float, default=0.5, help="of --with (default: 0.5)")
    args = parser.parse_args(arguments)
    return exit_status(
        "training.export", lambda: print(export(args.run, args.file, args.other, args.share))
    )


if __name__ == "__main__":
    sys.exit(main())
