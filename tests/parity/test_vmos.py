"""VMOS, its memory and its decoding against arrays recorded from the official code."""

import numpy as np
import pytest
import torch

from hqtrack import decoding
from hqtrack.masks import labels_to_masks
from hqtrack.memory import MemoryBank
from hqtrack.preprocess import network_size, normalise, prepare_image, prepare_labels
from hqtrack.segmenter import SegmenterConfig, VideoObjectSegmenter
from vmos.ops import resize, to_tokens

TOLERANCE = 1e-4
CASES = {"a_three_objects": 1, "b_twelve_objects": 3, "c_six_frames": 2, "d_eviction": 3}
"""Case and the stride with which its identity embeddings were thinned out."""

CPU = torch.device("cpu")


class Replay:
    """Runs a recorded case through model, memory and decoding and compares on the way."""

    def __init__(self, model, case):
        self.model = model
        self.case = case
        self.seen = {}
        self.groups = -(-int(case["first_mask"].max()) // 10)
        self.banks = [
            MemoryBank(int(case["gap"]), 6, int(case["skip"])) for _ in range(self.groups)
        ]
        self.compared = 0

    def expect(self, key, actual, tolerance=TOLERANCE):
        """Compare with the recorded array of this name; say whether there is one."""
        if key not in self.case:
            return False
        actual = np.asarray(actual)
        assert actual.shape == self.case[key].shape, key
        np.testing.assert_allclose(actual, self.case[key], rtol=0, atol=tolerance, err_msg=key)
        self.compared += 1
        return True

    def encode(self, t):
        return self.model.encode(torch.from_numpy(normalise(self.case["frames"][t]))[None])

    def labels(self, t, group):
        whole = self.case["first_mask"] if t == 0 else self.case[f"t{t}_memory_label"]
        labels = torch.from_numpy(whole.astype(np.int64))[None]
        inside = (labels > 10 * group) & (labels <= 10 * group + 10)
        return torch.where(inside, labels - 10 * group, 0)

    def watch(self):
        """Record what layers and norm give out."""

        def keep(name):
            return lambda module, inputs, output: self.seen.__setitem__(name, output)

        stack = self.model.propagation
        named = {f"lstt{i}": layer for i, layer in enumerate(stack.coarse_layers)}
        named |= {"s8": stack.fine_layer, "lstt3": stack.output_norm}
        return [module.register_forward_hook(keep(name)) for name, module in named.items()]

    def check_layers(self, prefix, first):
        for index in range(3):
            both = torch.cat(self.seen[f"lstt{index}"], dim=2).transpose(0, 1)
            full = first and "t0_e0_enc_s4" in self.case and index == 2
            assert self.expect(f"{prefix}_lstt{index}", both[:: 1 if full else 13])
        dense = first and "t0_e0_enc_s4" in self.case
        tokens = to_tokens(self.seen["lstt3"]).transpose(0, 1)
        assert self.expect(f"{prefix}_lstt3", tokens[:: 11 if dense else 61])
        step = 17 if first else 41
        visual, identity = (part.transpose(0, 1)[::step] for part in self.seen["s8"])
        assert self.expect(f"{prefix}_s8_tgt", visual)
        assert self.expect(f"{prefix}_s8_tgt_id", identity)

    def check_memory(self, prefix, bank):
        for index, layer in enumerate(bank.long_term):
            assert self.case[f"{prefix}_lt{index}_tokens"] == layer.key.shape[1]
            half = layer.value.shape[2] // 2
            stored = {"k": layer.key, "v": layer.value[..., :half], "idv": layer.value[..., half:]}
            for name, tokens in stored.items():
                moments = [tokens.mean(), tokens.std(correction=0), tokens.abs().max()]
                assert self.expect(f"{prefix}_lt{index}_{name}_moments", moments)
                newest_first = torch.cat(tokens.chunk(len(bank.frames), dim=1)[::-1], dim=1)
                sample = newest_first.transpose(0, 1)[::41, 0, ::16]
                self.expect(f"{prefix}_lt{index}_{name}_sample", sample)

    def reference(self, thinning):
        features = self.encode(0)
        if "t0_e0_enc_s4" in self.case:
            assert self.expect("t0_e0_enc_s4", features.output)
            assert self.expect("t0_e0_enc_s8", features.fine)
            assert self.expect("t0_e0_proj", features.coarse)
        for group, bank in enumerate(self.banks):
            labels = self.labels(0, group)
            identity = self.model.identity(labels, features.fine.shape[-2:])
            coarse, fine = (part.transpose(0, 1) for part in identity)
            assert self.expect(f"t0_e{group}_id_s16", coarse[::thinning])
            assert self.expect(f"t0_e{group}_id_s8", fine[:: 5 * thinning])
            memory = self.model.reference(features, labels)
            bank.add_reference(0, memory)
            self.model.propagate(features, memory, memory)  # what the official code does here
            self.check_layers(f"t0_e{group}", first=True)
            self.check_memory(f"t0_e{group}", bank)

    def track(self, t):
        features = self.encode(t)
        logits, states = [], []
        for group, bank in enumerate(self.banks):
            out = self.model.propagate(features, bank.long_term, bank.short_term.memory)
            self.check_layers(f"t{t}_e{group}", first=False)
            used = self.case[f"t{t}_e{group}_logit_s4"].shape[1]
            assert self.expect(f"t{t}_e{group}_logit_s4", out.logits[:, :used])
            logits.append(out.logits[:, :used])
            states.append(out.states)
        self.check_decoding(t, logits)
        for group, bank in enumerate(self.banks):
            bank.add(t, self.model.memorize(states[group], self.labels(t, group)))
            self.check_memory(f"t{t}_e{group}", bank)

    def check_decoding(self, t, logits):
        size = tuple(self.case["output_size"].tolist())
        enlarged = [resize(part, size) for part in logits]
        whole = enlarged[0]
        if len(logits) > 1:
            whole = decoding.aggregate([part.softmax(dim=1) for part in enlarged])
        assert self.expect(f"t{t}_logit_out_sample", whole[0, :, ::7, ::7])
        labels = decoding.decode_labels(logits, size).numpy()
        expected = self.case[f"t{t}_label"]
        close = np.unpackbits(self.case[f"t{t}_close"], count=labels.size).reshape(size)
        assert np.count_nonzero((labels != expected) & (close == 0)) == 0


@pytest.mark.parametrize("name", CASES)
def test_recorded_sequence(name, released, vmos_folder):
    with np.load(vmos_folder / f"{name}.npz") as arrays:
        replay = Replay(released, dict(arrays))
    hooks = replay.watch()
    try:
        with torch.inference_mode():
            replay.reference(CASES[name])
            for t in range(1, len(replay.case["frames"])):
                replay.track(t)
    finally:
        for hook in hooks:
            hook.remove()
    layers, parts = 4, 3
    assert replay.compared >= len(replay.case["frames"]) * replay.groups * layers * parts


@pytest.mark.parametrize("name", ["b_twelve_objects", "c_six_frames", "d_eviction"])
def test_segmenter_gives_the_recorded_labels(name, released, vmos_folder):
    """The same cases through the public segmenter; case a has another output size."""
    with np.load(vmos_folder / f"{name}.npz") as arrays:
        case = dict(arrays)
    config = SegmenterConfig(
        min_short_edge=0, long_term_gap=int(case["gap"]), short_term_lag=int(case["skip"])
    )
    segmenter = VideoObjectSegmenter(released, config)
    objects = int(case["first_mask"].max())
    segmenter.add_reference(case["frames"][0], labels_to_masks(case["first_mask"], objects))
    for t in range(1, len(case["frames"])):
        masks = segmenter.step(case["frames"][t]).masks
        expected = labels_to_masks(case[f"t{t}_label"], objects)
        close = np.unpackbits(case[f"t{t}_close"], count=masks[0].size).reshape(masks[0].shape)
        assert not ((masks != expected).any(axis=0) & (close == 0)).any(), f"frame {t}"


@pytest.mark.slow
def test_segmenter_end_to_end(released, vmos_folder):
    """Frames of 75x100, enlarged to 481x641, through the public segmenter."""
    with np.load(vmos_folder / "end_to_end.npz") as arrays:
        case = dict(arrays)
    segmenter = VideoObjectSegmenter(released)
    objects = int(case["e2e_first_mask"].max())
    first = labels_to_masks(case["e2e_first_mask"], objects)
    segmenter.add_reference(case["e2e_frames"][0], first)
    for t, expected in enumerate(case["e2e_labels"], start=1):
        masks = segmenter.step(case["e2e_frames"][t]).masks
        wrong = (masks != labels_to_masks(expected, objects)).any(axis=0)
        assert not (wrong & ~case["e2e_close"][t - 1]).any(), f"frame {t}"


@pytest.fixture(scope="module")
def logic(vmos_folder):
    with np.load(vmos_folder / "logic.npz") as arrays:
        return dict(arrays)


def test_network_sizes(logic):
    for height, width, h, w in logic["sizes"].tolist():
        assert network_size(height, width, 480, 1040, 16) == (h, w), (height, width)


def test_preprocessing(logic):
    images = [key.removesuffix("_image") for key in logic if key.endswith("_image")]
    assert images
    for name in images:
        image = logic[f"{name}_image"]
        size = network_size(*image.shape[:2], 480, 1040, 16)
        prepared = prepare_image(image, size, CPU)[0]
        assert prepared.shape == tuple(logic[f"{name}_shape"][-3:])
        # one grey level, the most that builds of OpenCV may differ by
        sample = logic[f"{name}_sample"].reshape(prepared[:, ::11, ::13].shape)
        np.testing.assert_allclose(prepared[:, ::11, ::13], sample, rtol=0, atol=0.02)
        assert np.mean(np.abs(prepared[:, ::11, ::13].numpy() - sample)) < 1e-3


def test_nearest_labels(logic):
    for index in range(3):
        expected = logic[f"nearest{index}_out"]
        actual = prepare_labels(logic[f"nearest{index}_in"], expected.shape)[0]
        np.testing.assert_array_equal(actual, expected)


def test_aggregation(logic):
    parts = [torch.from_numpy(logic[name]) for name in ("agg_a", "agg_b")]
    joined = decoding.aggregate([part.softmax(dim=1) for part in parts])
    np.testing.assert_allclose(joined, logic["agg_out"], rtol=0, atol=1e-4)
    labels = decoding.decode_labels(parts, parts[0].shape[-2:])
    np.testing.assert_array_equal(labels, logic["agg_out"][0].argmax(axis=0))


def test_schedule(logic):
    """Which frames are read at frame t, before it is written."""
    rows = logic["schedule"]
    for gap, lag in np.unique(rows[:, :2], axis=0).tolist():
        bank = MemoryBank(gap, 6, lag)
        bank.add_reference(0, ())
        frame = 0
        chosen = rows[(rows[:, 0] == gap) & (rows[:, 1] == lag)]
        for _, _, t, short_term, count, *long_term in chosen[chosen[:, 2].argsort()].tolist():
            for frame in range(frame + 1, t):  # noqa: B020
                bank.add(frame, ())
            assert bank.short_term.frame == short_term, (gap, lag, t)
            assert bank.frames[::-1] == [number for number in long_term if number >= 0]
            assert len(bank.frames) == count
