"""What does the model of a modality promise? `core.ModalityModel`, on drawn pictures or files of its own."""

from __future__ import annotations

import gc
import tempfile
import weakref
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from core.case import ImageInput
from core.errors import DxtreeError, InputError, PluginContractError
from core.manifest import read_bundle, write_bundle
from core.probabilities import LeafProbabilities
from core.protocols import ImageResult
from plugins.conformance.finding import Rule, Unanswerable, expect
from plugins.conformance.modality import ModalityUnderTest
from plugins.conformance.samples import samples_of, shallow_and_deep, upright_and_turned
from plugins.conformance.sending import sent
from plugins.model_set import MODALITY_MANIFEST
from plugins.specs import ModelRequest

_GARBAGE = b"this is no image"
_DEPTH = 0.02
"""How far a probability may lie between 8 and 16 bits of the same picture: what scaling may round away."""


def _offered(it: ModalityUnderTest) -> None:
    expect(it.offered, "the model set has no bundle for it")


def _loads(it: ModalityUnderTest) -> None:
    it.load()


def _name(it: ModalityUnderTest) -> None:
    expect(it.model.modality == it.name, f"it says {it.model.modality!r}")


def _prior(it: ModalityUnderTest) -> None:
    expect(_fits(it.model.prior, it))


def _provenance(it: ModalityUnderTest) -> None:
    expect(all(isinstance(text, str) for pair in it.model.provenance.items() for text in pair))


def _samples(it: ModalityUnderTest) -> None:
    samples_of(it.spec)


def _answers(it: ModalityUnderTest) -> None:
    it.predict(it.images)


def _one_result(it: ModalityUnderTest) -> None:
    try:
        results = it.predict(it.images)
    except BaseException as error:
        raise Unanswerable("it does not answer") from error
    expect([type(r) for r in results] == [ImageResult] * len(it.images))


def _classes(it: ModalityUnderTest) -> None:
    expect(all(_fits(p, it) for p in it.answer))


def _finite(it: ModalityUnderTest) -> None:
    for values in (p.values for p in it.answer):
        expect(bool(np.isfinite(values).all() and (values >= 0).all() and abs(values.sum() - 1) < 1e-9))


def _deterministic(it: ModalityUnderTest) -> None:
    _same(it, lambda: it.predict(it.images))


def _alone(it: ModalityUnderTest) -> None:
    _same(it, lambda: (it.predict([image])[0] for image in it.images))


def _order(it: ModalityUnderTest) -> None:
    _same(it, lambda: reversed(it.predict(it.images[::-1])))


def _empty(it: ModalityUnderTest) -> None:
    _ = it.answer
    expect(not it.predict([]))


def _anew(it: ModalityUnderTest) -> None:
    _same(it, lambda: it.predict(it.images, it.load()))


def _threads(it: ModalityUnderTest) -> None:
    many = getattr(it.model, "side_by_side", None)
    if many is None:
        raise Unanswerable("it has no side_by_side")
    _same(it, lambda: it.predict(it.images, many(2)))


def _paths(it: ModalityUnderTest) -> None:
    expected = it.answer
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{k}.file") for k in range(len(expected))]
        for path, image in zip(paths, it.images, strict=True):
            path.write_bytes(image.data or b"")
        given = [ImageInput(modality=it.name, path=p) for p in paths]
        _same(it, lambda: it.predict(given))
        left = {p: p.read_bytes() for p in sorted(Path(folder).rglob("*"))}
    expect(left == {i.path: s.data for i, s in zip(given, it.images, strict=True)}, "it changed the files")


def _untouched(it: ModalityUnderTest) -> None:
    expected = it.answer
    given = [image.model_copy() for image in it.images]
    kept = list(given)
    it.model.predict(given)
    expect(
        len(given) == len(expected) and all(a is b for a, b in zip(given, kept, strict=True)),
        "it changed the list",
    )
    expect(given == it.images, "it changed an image")


def _forgets(it: ModalityUnderTest) -> None:
    _ = it.answer
    given = [image.model_copy() for image in it.images]
    watchers = [weakref.ref(image) for image in given]
    it.predict(given)
    given.clear()
    gc.collect()
    expect(not any(w() for w in watchers), "it keeps an image after the answer")


def _orientation(it: ModalityUnderTest) -> None:
    expected, found = _both(it, *upright_and_turned(it.name))
    expect(found == expected, "a picture with an EXIF orientation has another answer than the upright one")


def _bit_depth(it: ModalityUnderTest) -> None:
    expected, found = _both(it, *shallow_and_deep(it.name))
    far = float(np.abs(found.values - expected.values).max())
    expect(far <= _DEPTH, f"16 bits a pixel move a probability by {far:.2f} against the same picture in 8")


def _both(
    it: ModalityUnderTest, plain: ImageInput, odd: ImageInput
) -> tuple[LeafProbabilities, LeafProbabilities]:
    """What it says of a plain picture and of an odd one; twice the plain one where the odd one is refused."""
    _ = it.answer
    if it.spec.samples is not None:
        raise Unanswerable("it reads files of its own and no pictures")
    expected = it.predict([plain, plain])[0].probabilities
    try:
        return expected, it.predict([odd, odd])[0].probabilities
    except InputError:
        return expected, expected


def _garbage(it: ModalityUnderTest) -> None:
    try:
        it.predict([ImageInput(modality=it.name, data=_GARBAGE)])
    except DxtreeError:
        return
    raise PluginContractError("it answered as if it were one")


def _workers(it: ModalityUnderTest) -> None:
    _ = it.answer
    results = it.predict(it.images)
    expect(sent(results) == results, "an answer arrives as another")
    try:
        it.predict([ImageInput(modality=it.name, data=_GARBAGE)])
    except DxtreeError as error:
        arrived = sent(error)
        expect(arrived.safe_message == error.safe_message, "an error arrives as another")
    except BaseException as error:
        raise Unanswerable("its errors are not typed") from error


def _round_trip(it: ModalityUnderTest) -> None:
    bundle, expected = it.bundle, it.answer
    if bundle is None:
        raise Unanswerable("it has no bundle")
    manifest = bundle.stated
    with tempfile.TemporaryDirectory() as folder:
        write_bundle(Path(folder), MODALITY_MANIFEST, manifest, bundle.files)
        copy = read_bundle(Path(folder), MODALITY_MANIFEST)
    expect(copy.digest == bundle.digest, "written again it has another digest")
    model = it.spec.load(ModelRequest(it.partition, copy))
    expect([r.probabilities for r in it.predict(it.images, model)] == expected, "the copy answers otherwise")


def _bundle_absent(it: ModalityUnderTest) -> None:
    _ = it.model
    if not it.spec.needs_bundle:
        raise Unanswerable("it needs no bundle")
    try:
        it.spec.load(ModelRequest(it.partition, None))
    except DxtreeError as error:
        expect(it.name in error.safe_message, f"its error does not name it: {error.safe_message}")
        return
    raise PluginContractError("it loaded without one")


def _process(it: ModalityUnderTest) -> None:
    try:
        it.predict(it.images)
    except Unanswerable:
        raise
    except BaseException:  # noqa: S110 - another promise tells
        pass
    expect(not it.changed, ", ".join(sorted(it.changed)))


def _licence(it: ModalityUnderTest) -> None:
    manifests = [it.bundle.manifest, it.models.bundle.manifest] if it.bundle else []
    stated = [it.spec.licence, *(m.get("licence", "") for m in manifests)]
    expect(
        any(isinstance(s, str) and s.strip() for s in stated),
        "neither the spec nor its bundle states a licence",
    )


def _card(it: ModalityUnderTest) -> None:
    files = [it.bundle.files, it.models.bundle.files] if it.bundle else []
    texts = [it.spec.card, *(f.get("card.md", b"").decode("utf-8", "replace") for f in files)]
    bodies = [[line for line in t.splitlines() if line.strip() and line[0] != "#"] for t in texts]
    expect(any(bodies), "neither the spec nor its bundle says what it was made from and what it is not for")


def _absent(it: ModalityUnderTest) -> None:
    answer = it.pipeline().diagnose(it.case(it.beside()))
    expect(it.name in answer.missing, "a case without its image does not list it as missing")
    expect(it.name not in answer.used, "a case without its image lists it as used")


def _without(it: ModalityUnderTest) -> None:
    case = it.case(it.beside())
    both = [p.diagnose(case) for p in (it.pipeline(), it.pipeline(without=True))]
    expect(
        both[0].leaf == both[1].leaf, "a case without its image has another answer where the plugin is absent"
    )


def _broken(it: ModalityUnderTest) -> None:
    beside = it.beside()
    if not it.pipeline(without=True).diagnose(it.case(beside)).evidence:
        raise Unanswerable(
            "the models of the other modalities leave their images out, so nothing would answer"
        )
    case = it.case([*beside, it.images[0]])
    answer = it.pipeline(broken=True).diagnose(case)
    expect(tuple(answer.modalities_failed) == (it.name,), "a fault of its model is not told by its name")
    expect(any(n.text.startswith(it.name) for n in answer.notices), "no notice says that it was left out")


def _same(it: ModalityUnderTest, again: Callable[[], Iterable[ImageResult]]) -> None:
    expected = it.answer
    expect([r.probabilities for r in again()] == expected)


def _fits(probabilities: object, it: ModalityUnderTest) -> bool:
    return isinstance(probabilities, LeafProbabilities) and probabilities.classes == it.partition.ids


RULES: tuple[Rule[ModalityUnderTest], ...] = (
    Rule("offered", "its model can be had", _offered),
    Rule("loads", "its model loads", _loads),
    Rule("name", "it bears its own name", _name),
    Rule("prior", "its prior is over the training classes", _prior),
    Rule("provenance", "its provenance is text", _provenance),
    Rule("samples", "its samples are files that differ", _samples),
    Rule("answers", "it answers for its samples", _answers),
    Rule("one_result", "one ImageResult an image", _one_result),
    Rule("classes", "its classes are the pipeline's", _classes),
    Rule("finite", "its probabilities are finite and sum to one", _finite),
    Rule("deterministic", "the same images give the same bits", _deterministic),
    Rule("alone", "an answer does not depend on its neighbours", _alone),
    Rule("order", "the order of images does not matter", _order),
    Rule("empty", "no image, no result", _empty),
    Rule("anew", "loaded anew it gives the same bits", _anew),
    Rule("threads", "side by side it gives the same bits", _threads),
    Rule("paths", "a file gives the same bits as its bytes, and stays as it is", _paths),
    Rule("untouched", "what it is given stays as it is", _untouched),
    Rule("forgets", "it keeps no image", _forgets),
    Rule("orientation", "a picture stored on its side is set upright, or refused", _orientation),
    Rule("bit_depth", "16 bits a pixel are the same picture as 8, or refused", _bit_depth),
    Rule("garbage", "a file that is no image is a typed error", _garbage),
    Rule("workers", "its answers and errors go from process to process", _workers),
    Rule("round_trip", "its bundle, written again, is the same model", _round_trip),
    Rule("bundle_absent", "without its bundle it refuses, by name", _bundle_absent),
    Rule("process", "it leaves the process as it was", _process),
    Rule("licence", "its licence is stated", _licence),
    Rule("card", "it has a card", _card),
    Rule("absent", "missing in, missing out", _absent),
    Rule("without", "the fused model answers the same without it", _without),
    Rule("broken", "a fault of it is told by its name and stops no other", _broken),
)
"""Every promise of a modality. A new one here reaches every plugin."""
