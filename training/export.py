"""Make the weights file that ships: `python -m training.export RUN FILE`.

Takes the averaged weights of a run's newest checkpoint.
"""

import argparse
from pathlib import Path

import torch
from safetensors.torch import save_file

from hqtrack.light import LIGHT_VMOS
from vmos import build_vmos


def main() -> None:
    parser = argparse.ArgumentParser(prog="training.export", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of the run")
    parser.add_argument("file", type=Path, help="where to write, *.safetensors")
    args = parser.parse_args()
    state = torch.load(args.run / "checkpoint.pt", map_location="cpu", weights_only=True)
    model = build_vmos(LIGHT_VMOS, state["average"])
    weights = {key: value.detach().contiguous() for key, value in model.state_dict().items()}
    save_file(weights, args.file, metadata={"format": "pt", "steps": str(state["step"])})
    count = sum(value.numel() for value in weights.values())
    size = args.file.stat().st_size / 2**20
    print(f"{args.file}: {count} parameters, {size:.1f} MiB, step {state['step']}")


if __name__ == "__main__":
    main()
