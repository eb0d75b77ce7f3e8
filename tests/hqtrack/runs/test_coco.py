"""The COCO file of a run."""

import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from hqtrack.runs.coco import coco_parts
from hqtrack.runs.results import Results
from tests.helpers.followed import RUN, TARGETS, followed


# pycocotools is older than numpy 2
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_the_coco_file_is_read_by_cocos_own_tools(folder):
    with Results(folder, RUN) as results:
        results.write_json("masks.json", coco_parts(TARGETS, results.records))
    coco = COCO(folder / "masks.json")
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == ["cat", "500", "never"]
    image = coco.loadImgs(7)[0]
    assert (image["file_name"], image["width"], image["height"]) == ("7.jpg", 20, 12)
    one, two = coco.loadAnns(coco.getAnnIds(imgIds=7))
    np.testing.assert_array_equal(coco.annToMask(one), followed(7).masks[0])
    np.testing.assert_array_equal(coco.annToMask(two), followed(7).masks[1])
    assert (two["bbox"], two["area"], two["category_id"]) == ([4, 6, 3, 2], 6, 500)
    assert two["score"] == pytest.approx(1.0)
    assert len(coco.loadAnns(coco.getAnnIds(imgIds=5))) == 1
    assert len(set(coco.getAnnIds())) == 5


def test_a_coco_file_of_nothing_is_json(tmp_path):
    parts = "".join(coco_parts(TARGETS, list))
    assert json.loads(parts)["annotations"] == []
