"""How do several threads ask the same models at once, whatever the models promise?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from threading import Lock

from core.case import ImageInput
from core.gathering import Models
from core.probabilities import LeafProbabilities
from core.protocols import ImageResult, ModalityModel


def side_by_side(models: Models, calls: int) -> Models:
    """The same models for `calls` threads at a time, each loaded when it is first asked for.

    A model with a method `side_by_side` (see `core.ModalityModel`) says itself how that is done. Any other
    is asked by one thread at a time.
    """
    return {modality: _Shared(load, calls) for modality, load in models.items()}


class _Shared:
    """Loads a model and readies it for several threads, once; a failure is not kept."""

    def __init__(self, load: Callable[[], ModalityModel], calls: int) -> None:
        self._load, self._calls = load, calls
        self._lock = Lock()
        self._model: ModalityModel | None = None

    def __call__(self) -> ModalityModel:
        with self._lock:
            if self._model is None:
                model = self._load()
                ready: Callable[[int], ModalityModel] | None = getattr(model, "side_by_side", None)
                self._model = _OneAtATime(model) if ready is None else ready(self._calls)
            return self._model


class _OneAtATime:
    """A model whose `predict` is never called while another call of it runs."""

    def __init__(self, model: ModalityModel) -> None:
        self._model = model
        self._lock = Lock()

    @property
    def modality(self) -> str:
        return self._model.modality

    @property
    def classes(self) -> tuple[str, ...]:
        return self._model.classes

    @property
    def prior(self) -> LeafProbabilities:
        return self._model.prior

    @property
    def provenance(self) -> Mapping[str, str]:
        return self._model.provenance

    def predict(self, images: Sequence[ImageInput]) -> Sequence[ImageResult]:
        with self._lock:
            return self._model.predict(images)
