"""The comparison of rules: intervals, and a run from end to end."""

import json

import numpy as np
import pytest

from benchmarks.stress import SINGLE, interval, main, table
from hqtrack.rules import PLUS, PUBLISHED, RULES


def test_the_interval_is_that_of_the_mean():
    low, high = interval(np.array([0.1] * 9))
    assert low == pytest.approx(0.1)
    assert high == pytest.approx(0.1)
    low, high = interval(np.random.default_rng(0).normal(0, 1, 400))
    assert -0.2 < low < -0.05 < 0.05 < high < 0.2


def test_gains_are_paired_by_sequence():
    measures = dict.fromkeys(("accuracy", "robustness", "NRE", "DRE", "J", "F", "fps"), 0.5)
    found = {
        rules: {
            f"{kind}/{name}": {**measures, "ADQ": None, "Quality": quality + gain}
            for kind in ("plain", "twin")
            for name, quality in (("a", 0.1), ("b", 0.9))
        }
        for rules, gain in (("published", 0.0), ("plus", 0.05))
    }
    lines = table(found, "Quality").splitlines()
    assert len(lines) == 2 + 3 * 2
    assert lines[3].startswith("| plain | 2 | plus | 0.550 |")
    assert lines[3].endswith("| +0.050 (+0.050 to +0.050) |")
    assert lines[-1].startswith("| all but plain | 2 | plus |")


@pytest.mark.parametrize("part", ["selection", "memory"])
def test_every_rule_of_plus_is_one_of_the_single_ones(part):
    """Where plus differs from what is published, some single rule does in the same way."""
    plus, published = (vars(getattr(rules, part)) for rules in (PLUS, PUBLISHED))
    single = [vars(getattr(rules, part)) for rules in SINGLE.values()]
    for name in plus:
        if plus[name] != published[name]:
            assert plus[name] in [rules[name] for rules in single], name
    sights = [rules.sight for rules in SINGLE.values()]
    assert PLUS.sight.max_noise in [sight.max_noise for sight in sights]
    assert any(sight.sharp for sight in sights)


def test_from_end_to_end(sequences, tmp_path, capsys):
    record = tmp_path / "record.json"
    status = main(["--data", str(sequences), "--kinds", "plain", "noise", "--record", str(record)])
    assert status == 0
    assert "| noise | 1 | plus |" in capsys.readouterr().out
    found = json.loads(record.read_text())
    assert list(found) == list(RULES)
    assert list(found["plus"]) == ["plain/one", "noise/one_noise"]


def test_a_folder_without_sequences(tmp_path, capsys):
    assert main(["--data", str(tmp_path)]) == 2
    assert "stress: " in capsys.readouterr().err


def test_names_of_no_sequence_are_refused(sequences, capsys):
    assert main(["--data", str(sequences), "--only", "one", "two"]) == 2
    assert "no sequence is called two: there are one" in capsys.readouterr().err
