"""Exports the weights of a run of `training.vmos`: `python -m training.export RUN FILE`.

It uses the averaged weights of the run's newest checkpoint.
"""

import argparse
import json
import sys
from pathlib import Path

from safetensors.torch import save_file

from hqtrack.errors import InputError
from hqtrack.light import LIGHT_VMOS
from hqtrack.weights import note_checksum
from training.engine.run_folder import CHECKPOINT, read_checkpoint
from vmos import VMOSConfig, build_vmos
from vmos.checkpoint import CheckpointError


def export(run: Path, file: Path) -> str:
    """Write the weights, with the configuration as metadata; returns a description of the file.

    Raises InputError if the run has no checkpoint of a VMOS or the file cannot be written.
    """
    state = read_checkpoint(run / CHECKPOINT)
    sizes = dict(state.get("configuration", {}))
    if sizes.pop("network", "vmos") != "vmos":
        raise InputError(
            f"{run} is not a run of training.vmos; training.hqsam has its own --export"
        )
    # old runs without a stored configuration are those of the light network
    config = VMOSConfig.from_dict(sizes) if sizes else LIGHT_VMOS
    try:
        model = build_vmos(config, state["average"])
    except CheckpointError as error:
        raise InputError(f"{run}: {error}") from error
    told = {"steps": str(state["step"]), "configuration": json.dumps(sizes)}
    try:
        save_file(model.state_dict(), file, metadata={"format": "pt", **told})
        note_checksum(file)
    except OSError as error:
        raise InputError(f"cannot write {file}: {error}") from error
    count = sum(parameter.numel() for parameter in model.parameters())
    size = file.stat().st_size / 2**20
    return f"{file}: {count} parameters, {size:.1f} MiB, step {state['step']}"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="training.export", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("file", type=Path, help="the file to write, *.safetensors")
    args = parser.parse_args(arguments)
    try:
        print(export(args.run, args.file))
    except InputError as error:
        print(f"training.export: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
