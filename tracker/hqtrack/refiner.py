"""The mask refiner: HQ-SAM, prompted with the box of each object's mask (HQTrack, Mask Refiner)."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from hqsam import HQSam, ImageEmbedding
from hqtrack.compute.acceleration import precision
from hqtrack.compute.transfer import to_device, to_host
from hqtrack.masks import check_image, check_masks, mask_boxes
from hqtrack.stages import Stage, is_timed, stage
from hqtrack.types import Image, Masks, Scores

BOXES_AT_ONCE = 10


class Candidates(NamedTuple):
    """HQ-SAM's alternatives to each object's mask.

    masks: [N,K,H,W], K = 1: the best-scored of three SAM masks plus the HQ mask.
    scores: [N,K], the IoU that the network predicts for them; may be outside [0, 1].
    """

    masks: NDArray[np.bool_]
    scores: Scores


class _Encoding(NamedTuple):
    """An image that another thread, and on a GPU another CUDA stream, is encoding."""

    image: Image
    embedding: Future[tuple[ImageEmbedding, torch.cuda.Event | None]]


class MaskRefiner:
    """Proposes a finer mask for each object of a frame."""

    def __init__(self, model: HQSam, dtype: torch.dtype = torch.float32) -> None:
        """``dtype``: the type for encoding images, see `hqtrack.compute.acceleration`."""
        self._model = model
        self.dtype = dtype
        self._begun: _Encoding | None = None
        self._thread = ThreadPoolExecutor(1, "hqsam")
        on_gpu = self._device.type == "cuda"
        self._stream = torch.cuda.Stream(self._device) if on_gpu else None

    def begin(self, image: Image) -> None:
        """Start encoding an image concurrently; `refine` uses the result.

        While a clock times the stages (`hqtrack.stages.timing`), this does nothing, and `refine`
        encodes the image. Raises InputError if the image cannot be used.
        """
        check_image(image)
        if is_timed():
            return
        ready = None
        if self._stream is not None:
            ready = torch.cuda.current_stream(self._device).record_event()
        self._begun = _Encoding(image, self._thread.submit(self._embed_concurrently, image, ready))

    @stage(Stage.SAM_DECODE)
    @torch.inference_mode()
    def refine(self, image: Image, masks: Masks) -> Candidates:
        """Predict a mask inside the tightest box around each mask.

        The image is encoded once, or not at all if all masks are empty and `begin` was not called.
        An empty mask gets an empty candidate with score 0. Raises InputError if image or masks do
        not have the shapes and types of `hqtrack.types`.
        """
        check_image(image)
        check_masks(masks, image)
        boxes = mask_boxes(masks)
        seen = np.flatnonzero(~np.isnan(boxes[:, 0]))
        candidates = Candidates(
            np.zeros((len(masks), 1, *masks.shape[1:]), np.bool_),
            np.zeros((len(masks), 1), np.float32),
        )
        begun, self._begun = self._begun, None
        with stage(Stage.SAM_ENCODE):
            if begun is not None and begun.image is image:
                embedding = self._take(begun)
            elif len(seen):
                embedding = self._embed(image)
        for start in range(0, len(seen), BOXES_AT_ONCE):
            chunk = seen[start : start + BOXES_AT_ONCE]
            with precision(self._device, torch.float32):
                logits, scores = self._model.predict(embedding, boxes=torch.tensor(boxes[chunk]))
            found = self._model.to_image(logits, embedding) > 0
            candidates.masks[chunk], candidates.scores[chunk] = to_host(found, scores.float())
        return candidates

    @property
    def _device(self) -> torch.device:
        return next(self._model.parameters()).device

    def _embed(self, image: Image) -> ImageEmbedding:
        plain = self.dtype == torch.float32  # then the image is resized as published, on the CPU
        prepared = to_device(image, torch.device("cpu") if plain else self._device)
        with precision(self._device, self.dtype):
            return self._model.embed(prepared)

    def _embed_concurrently(
        self, image: Image, ready: torch.cuda.Event | None
    ) -> tuple[ImageEmbedding, torch.cuda.Event | None]:
        """The embedding and the event of its completion; starts after the event ``ready``."""
        if self._stream is None or ready is None:
            return self._embed(image), None
        with torch.cuda.stream(self._stream):
            self._stream.wait_event(ready)
            return self._embed(image), self._stream.record_event()

    def _take(self, begun: _Encoding) -> ImageEmbedding:
        embedding, done = begun.embedding.result()
        if done is not None:
            current = torch.cuda.current_stream(self._device)
            current.wait_event(done)
            for tensor in (embedding.features, embedding.hq_features):
                tensor.record_stream(current)
        return embedding
