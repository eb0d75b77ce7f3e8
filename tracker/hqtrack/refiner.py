"""HQ-SAM as mask refiner, prompted by coarse masks (HQTrack, Mask Refiner) or by users.

The released networks look at the whole frame, as published. The light one looks at each object
through a window of its own.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hqsam import HQSam, ImageEmbedding
from hqsam.light import LightEncoder
from hqtrack import device_masks
from hqtrack.compute.acceleration import precision
from hqtrack.compute.transfer import to_device, to_host
from hqtrack.looking import Answers, Look, Prompts, WholeLook, WindowLook
from hqtrack.masks import check_image, check_masks, mask_boxes
from hqtrack.prompts import check_prompts, obeying
from hqtrack.stages import Stage, is_timed, stage
from hqtrack.types import Boxes, Image, Masks, Scores
from hqtrack.windows import Window, around, whole

AnyLook = TypeVar("AnyLook", WholeLook, WindowLook)

BOXES_AT_ONCE = 10

ALTERNATIVES = 3
"""Masks per prompt of `MaskRefiner.segment`: those of SAM's three mask tokens."""


class Candidates(NamedTuple):
    """HQ-SAM's alternatives for each object, the best-scored first.

    masks: [N,K,H,W]. `refine` gives K = 1: the best-scored of three SAM masks plus the HQ mask.
    `segment` gives K = 3: each of the three SAM masks plus the HQ mask.
    scores: [N,K], the IoU that the network predicts for them; may be outside [0, 1].
    """

    masks: NDArray[np.bool_]
    scores: Scores


@dataclass(frozen=True)
class Windows:
    """How the refiner looks at objects through windows.

    Attributes:
        margin: side of a window relative to the longest side of the object's box.
        largest: `refine` skips objects whose window is larger than this share of the frame's
            longest side, because there the network sees no more than the tracker saw.
        with_masks: whether coarse masks are prompts of `refine`, beside their boxes.
    """

    margin: float = 1.5
    largest: float = 0.625
    with_masks: bool = True


LIGHT_WINDOWS = Windows()
"""For HQ-SAM light, as it was trained."""


class _Encoding(NamedTuple):
    """An image that another thread, and on a GPU another CUDA stream, is encoding."""

    image: Image
    embedding: Future[tuple[ImageEmbedding, torch.cuda.Event | None]]


class _Looked(NamedTuple):
    """An image that cannot be written to, and how it was looked at."""

    image: Image
    windows: tuple[Window, ...]
    look: Any


class _Part(NamedTuple):
    """Candidates of some objects [n] on the device: masks [n,1,H,W], scores [n,1]."""

    objects: NDArray[np.int64]
    masks: Tensor
    scores: Tensor


class MaskRefiner:
    """Proposes a finer mask for each object of a frame, and masks for prompts."""

    def __init__(
        self,
        model: HQSam,
        dtype: torch.dtype = torch.float32,
        windows: Windows | None = None,
    ) -> None:
        """``dtype``: the type for encoding images, see `hqtrack.compute.acceleration`.

        ``windows``: how to look through windows; by default the light network does so as it was
        trained, and the released networks look at the whole frame.
        """
        self._model = model
        self.dtype = dtype
        light = isinstance(getattr(model, "image_encoder", None), LightEncoder)
        self.windows = windows or (LIGHT_WINDOWS if light else None)
        self._begun: _Encoding | None = None
        self._looked: _Looked | None = None
        self._thread = ThreadPoolExecutor(1, "hqsam")
        on_gpu = self._device.type == "cuda"
        self._stream = torch.cuda.Stream(self._device) if on_gpu else None

    def begin(self, image: Image) -> None:
        """Start encoding an image concurrently; `refine` uses the result.

        While a clock times the stages (`hqtrack.stages.timing`), and with windows, this does
        nothing, and `refine` encodes the image. Raises InputError if the image cannot be used.
        """
        check_image(image)
        if is_timed() or self.windows is not None:
            return
        ready = None
        if self._stream is not None:
            ready = torch.cuda.current_stream(self._device).record_event()
        self._begun = _Encoding(image, self._thread.submit(self._embed_concurrently, image, ready))

    @stage(Stage.SAM_DECODE)
    @torch.inference_mode()
    def refine(self, image: Image, masks: Masks) -> Candidates:
        """Predict a mask inside the tightest box around each mask.

        The image is encoded once, or not at all if all masks are empty and `begin` was not called;
        with windows, it is encoded once per window. An empty mask, and an object that is skipped
        (`Windows.largest`), gets an empty candidate with score 0. Raises InputError if image or
        masks do not have the shapes and types of `hqtrack.types`.
        """
        check_image(image)
        check_masks(masks, image)
        boxes = mask_boxes(masks)
        candidates = _empty(len(masks), 1, masks.shape[1:])
        if self.windows is not None:
            self._refine_in_windows(image, masks, boxes, candidates)
            return candidates
        found = self._refine_boxes(image, boxes)
        if self._device.type == "cuda":
            _write(candidates, list(found))
        for part in found:
            _write(candidates, [part])
        return candidates

    @stage(Stage.SAM_DECODE)
    @torch.inference_mode()
    def refine_on_device(self, image: Image, masks: Tensor) -> tuple[Tensor, Tensor]:
        """`refine` of masks [N,H,W] on the network's device; the candidates stay there.

        Not with windows, which are cut on the host. It waits for the boxes, and for nothing else.
        Returns masks [N,1,H,W] and scores [N,1].
        """
        check_image(image)
        (boxes,) = to_host(device_masks.mask_boxes(masks))
        found = masks.new_zeros(len(masks), 1, *masks.shape[1:])
        scores = torch.zeros(len(masks), 1, device=masks.device)
        for chunk, refined, predicted in self._refine_boxes(image, boxes):
            index = to_device(chunk, masks.device)
            found.index_copy_(0, index, refined)
            scores.index_copy_(0, index, predicted)
        return found, scores

    def _refine_boxes(self, image: Image, boxes: Boxes) -> Iterator[_Part]:
        """The candidates of a few objects at a time."""
        seen = _seen(boxes)
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
            yield _Part(chunk, self._model.to_image(logits, embedding) > 0, scores.float())

    def _refine_in_windows(
        self, image: Image, coarse: Masks, boxes: Boxes, into: Candidates
    ) -> None:
        """Write the candidates of those objects that a window shows better than the tracker."""
        rules = self.windows or LIGHT_WINDOWS
        shape = image.shape[:2]
        windows = {n: around(boxes[n], shape, rules.margin) for n in _seen(boxes)}
        chosen = np.array(
            [n for n, window in windows.items() if window.side <= rules.largest * max(shape)], int
        )
        if not len(chosen):
            return
        with stage(Stage.SAM_ENCODE):
            look = WindowLook(self._model, image, [windows[n] for n in chosen], self.dtype)
        shown = coarse[chosen] if rules.with_masks else None
        answers = look.answer(Prompts(boxes=boxes[chosen], masks=shown))
        # box and mask leave nothing ambiguous; for a box alone, as published, the best of three
        best = answers.scores[:, 1:].argmax(dim=1, keepdim=True) + 1
        best = torch.zeros_like(best) if rules.with_masks else best
        logits = answers.sam.take_along_dim(best[..., None, None], 1) + answers.hq
        into.masks[chosen] = look.masks(logits)
        into.scores[chosen] = to_host(answers.scores.gather(1, best).float())[0]

    @torch.inference_mode()
    def segment(
        self,
        image: Image,
        boxes: ArrayLike | None = None,
        points: ArrayLike | None = None,
        labels: ArrayLike | None = None,
    ) -> Candidates:
        """Masks of N objects from a box, from clicks, or from both.

        The light network first answers for the image and its mirror image, and the mean counts.

        Args:
            image: [H,W,3] uint8 RGB.
            boxes: [N,4] left, top, right, bottom; inclusive pixel indices. They may reach beyond
                the image.
            points: [N,P,2] clicks (x, y) in pixels, from the centre of the top-left pixel.
            labels: [N,P], 1 for a click in the object, 0 for one outside, -1 for none.

        The encoding of an image that cannot be written to (``image.flags.writeable``) is kept for
        the next call: give the same array again for more clicks on it.

        Returns:
            Three masks per object, the best-scored first; a mask may be empty.

        Raises:
            InputError: the prompts do not fit each other or the image, or an object has none.
        """
        check_image(image)
        height, width = image.shape[:2]
        prompts = check_prompts(boxes, points, labels, height, width)
        if not prompts.count:
            return _empty(0, ALTERNATIVES, (height, width))
        if self.windows is None:
            frame = self._kept(image, (), lambda: WholeLook(self._model, image, self.dtype))
            return _best_first(*_three(frame, frame.answer(prompts)))
        shape = (height, width)
        if prompts.boxes is None:
            windows = [whole(shape)] * prompts.count
        else:
            windows = [around(box, shape, self.windows.margin) for box in prompts.boxes]
        look = self._kept(
            image, windows, lambda: WindowLook(self._model, image, windows, self.dtype, twice=True)
        )
        return self._segment_again(image, look, prompts)

    def _kept(
        self, image: Image, windows: Sequence[Window], look: Callable[[], AnyLook]
    ) -> AnyLook:
        """What ``look`` gives for an image through these windows; perhaps what it gave before."""
        looked = self._looked
        if looked is not None and looked.image is image and looked.windows == tuple(windows):
            kept: AnyLook = looked.look
            return kept
        found = look()
        constant = not image.flags.writeable and image.base is None
        self._looked = _Looked(image, tuple(windows), found) if constant else None
        return found

    def _segment_again(self, image: Image, look: WindowLook, prompts: Prompts) -> Candidates:
        """Masks from prompts, then again from these masks and the prompts.

        For clicks alone the second look is through a window around each first mask.
        """
        shape = image.shape[:2]
        masks, _ = _three(look, look.answer(prompts))
        coarse = masks.reshape(-1, *shape)
        if prompts.boxes is None:
            margin = (self.windows or LIGHT_WINDOWS).margin
            windows = [
                _around_all(box, prompts, number // ALTERNATIVES, shape, margin)
                for number, box in enumerate(mask_boxes(coarse))
            ]
            closer = WindowLook(self._model, image, windows, self.dtype)
        else:
            closer = look.repeated(ALTERNATIVES)
        again = prompts.take(np.arange(prompts.count).repeat(ALTERNATIVES))
        answers = closer.answer(replace(again, masks=coarse))
        found = closer.masks(answers.sam[:, :1] + answers.hq)[:, 0].reshape(masks.shape)
        if prompts.points is not None and prompts.labels is not None:
            clicks = zip(found, prompts.points, prompts.labels, strict=True)
            found = np.array([obeying(*each) for each in clicks], np.bool_)
        (scores,) = to_host(answers.scores[:, :1].float())
        return _best_first(found, scores.reshape(-1, ALTERNATIVES))

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


def _seen(boxes: Boxes) -> NDArray[np.int64]:
    """The indices of the objects that have a box."""
    return np.flatnonzero(~np.isnan(boxes[:, 0]))


def _empty(count: int, alternatives: int, shape: tuple[int, ...]) -> Candidates:
    """Empty masks with score 0."""
    return Candidates(
        np.zeros((count, alternatives, *shape), np.bool_),
        np.zeros((count, alternatives), np.float32),
    )


def _write(into: Candidates, parts: Sequence[_Part]) -> None:
    """Write candidates, with one wait for a GPU."""
    arrays = iter(to_host(*(tensor for part in parts for tensor in part[1:])))
    for part in parts:
        into.masks[part.objects], into.scores[part.objects] = next(arrays), next(arrays)


def _three(look: Look, answers: Answers) -> tuple[Masks, Scores]:
    """The masks [N,3,H,W] of SAM's three mask tokens plus the HQ mask, and their scores [N,3]."""
    (scores,) = to_host(answers.scores[:, 1:].float())
    return look.masks(answers.sam[:, 1:] + answers.hq), scores


def _best_first(masks: Masks, scores: Scores) -> Candidates:
    """Candidates [N,K,H,W] in descending order of their scores [N,K]."""
    order = np.argsort(-scores, axis=1, kind="stable")
    return Candidates(
        np.take_along_axis(masks, order[..., None, None], 1), np.take_along_axis(scores, order, 1)
    )


def _around_all(
    box: NDArray[np.float64],
    clicks: Prompts,
    number: int,
    shape: tuple[int, int],
    margin: float,
) -> Window:
    """The window around a box [4], NaN for none, and the clicks in the object of this number."""
    if clicks.points is None or clicks.labels is None:
        raise ValueError("clicks need points and labels")
    inside = clicks.points[number][clicks.labels[number] == 1]
    places = np.concatenate([inside, box.reshape(2, 2)[~np.isnan(box[::2])]])
    if np.isnan(box[0]):
        return whole(shape)
    return around(np.concatenate([places.min(0), places.max(0)]), shape, margin)
