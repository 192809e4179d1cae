"""Does an audit trail hold what it must, nothing of the patient, and show every change?"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.case import Case, ImageInput, PatientMetadata
from core.diagnosis import Diagnosis
from core.errors import AuditError, OutOfSpace
from core.pipeline import Pipeline
from core.prediction_set import Member, PredictionSet
from dxtree.audit import AuditTrail, head_of, key_beside, plugin_versions, read_key, records, verify
from dxtree.audit import appending as appending_module
from dxtree.audit.chain import Link, canonical, follows, linked, parsed
from dxtree.cohorts import make_lesion
from plugins.assembly import assemble, find_model_set, load_registry
from plugins.config import Settings

LINES = 12


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    registry = load_registry(Settings())
    return assemble(registry, find_model_set(registry, "demonstration"))


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    folder = tmp_path_factory.mktemp("Doe-Jane-1961")
    for view, jpeg in make_lesion(7, 0).jpegs.items():
        (folder / f"SECRETNAME-{view}.jpg").write_bytes(jpeg)
    return Case(
        id="SECRETCASE QUUX",
        images=tuple(
            ImageInput(modality=view, path=folder / f"SECRETNAME-{view}.jpg")
            for view in ("clinical", "dermoscopy")
        ),
        patient=PatientMetadata(age_years=61.7319, sex="female", site="back"),
    )


@pytest.fixture(scope="module")
def diagnosis(pipeline: Pipeline, case: Case) -> Diagnosis:
    return pipeline.diagnose(case)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, case: Case, diagnosis: Diagnosis) -> list[bytes]:
    """Lines of a trail, as written."""
    trail = AuditTrail(tmp_path_factory.mktemp("whole") / "a.jsonl")
    for _ in range(LINES):
        trail.record(case, diagnosis)
    return trail.path.read_bytes().splitlines(keepends=True)


def trail_of(folder: Path, lines: list[bytes]) -> Path:
    path = folder / "changed.jsonl"
    path.write_bytes(b"".join(lines))
    return path


# --- what a record holds ------------------------------------------------------------------------------


def test_a_record_names_the_models_the_plugins_and_the_answer(
    tmp_path: Path, case: Case, diagnosis: Diagnosis, pipeline: Pipeline
) -> None:
    registry = load_registry(Settings())
    trail = AuditTrail(tmp_path / "a", plugins=plugin_versions(registry.manager), actor="ward 3")
    trail.record(case, diagnosis)
    (record,) = records(tmp_path / "a")
    assert (record["index"], record["kind"], record["actor"]) == (1, "diagnosis", "ward 3")
    made = record["made_with"]
    assert made["digest"] == diagnosis.provenance["digest"]
    assert made["partition"] == pipeline.partition.fingerprint
    assert made["taxonomy_fingerprint"] == pipeline.partition.taxonomy.fingerprint
    assert set(made["models"]) == {"clinical", "dermoscopy"}
    assert record["plugins"]["fusion"].startswith("dxtree ")
    assert diagnosis.tree is not None
    assert record["nodes"] == diagnosis.tree.to_dict()
    assert record["ranked"] == [node for node, _ in diagnosis.tree.ranked()]
    assert record["answer"] == diagnosis.most_specific()
    assert (record["status"], record["missing"]) == ("complete", [])
    assert record["time"].endswith("Z")


def test_a_prediction_set_is_recorded_with_its_coverage_and_members(
    tmp_path: Path, case: Case, diagnosis: Diagnosis, pipeline: Pipeline
) -> None:
    member = Member("Malignant", "Malignant", 0.9, passed=True, shared_at=None)
    tree = pipeline.partition.taxonomy
    found = PredictionSet(
        "classes", 0.9, "lac", per_class=False, members=(member,), cover="Malignant", taxonomy=tree
    )
    AuditTrail(tmp_path / "a").record(case, diagnosis, prediction_set=found)
    kept = next(records(tmp_path / "a"))["prediction_set"]
    assert (kept["coverage"], kept["members"], kept["cover"]) == (0.9, ["Malignant"], "Malignant")


def test_notices_of_an_image_left_out_are_recorded(tmp_path: Path, pipeline: Pipeline) -> None:
    good = make_lesion(7, 0).jpegs["dermoscopy"]
    images = tuple(ImageInput(modality="dermoscopy", data=d) for d in (good, good[:2000]))
    asked = Case(images=images)
    AuditTrail(tmp_path / "a").record(asked, pipeline.diagnose(asked))
    record = next(records(tmp_path / "a"))
    assert record["status"] == "partial"
    assert [n["code"] for n in record["notices"]] == ["ImageLeftOut"]
    assert record["missing"] == ["clinical", "age_years", "sex", "site"]


def test_nothing_of_the_patient_is_in_any_file(tmp_path: Path, case: Case, diagnosis: Diagnosis) -> None:
    AuditTrail(tmp_path / "a").record(case, diagnosis)
    (tmp_path / "a").open("ab").write(b'{"torn":')
    AuditTrail(tmp_path / "a").record(case, diagnosis)
    text = b"".join(p.read_bytes() for p in tmp_path.iterdir()).decode().lower()
    assert "torn" in text
    for secret in ("61.73", "female", '"back"', "secretname", "secretcase", "quux", "doe", ".jpg"):
        assert secret not in text, secret


def test_the_files_are_the_owners_alone(tmp_path: Path) -> None:
    AuditTrail(tmp_path / "a")
    assert {p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {0o600}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "a.key"]


def test_equal_inputs_have_equal_fingerprints_under_one_key_and_others_under_another(
    tmp_path: Path, case: Case, diagnosis: Diagnosis
) -> None:
    for name in ("a", "b"):
        trail = AuditTrail(tmp_path / name)
        trail.record(case, diagnosis)
        trail.record(case, diagnosis)
    one, same, other, _ = [*records(tmp_path / "a"), *records(tmp_path / "b")]
    for field in ("case", "images", "input"):
        assert one[field] == same[field]
        assert one[field] != other[field]


def test_equal_metadata_of_two_cases_cannot_be_linked(tmp_path: Path, diagnosis: Diagnosis) -> None:
    patient = PatientMetadata(sex="male")
    trail = AuditTrail(tmp_path / "a")
    for picture in (b"one", b"two"):
        asked = Case(images=(ImageInput(modality="clinical", data=picture),), patient=patient)
        trail.record(asked, diagnosis)
    one, two = records(tmp_path / "a")
    shared = {k for k in one if one[k] == two[k]}
    assert "input" not in shared


def test_metadata_change_the_fingerprint_of_the_input(tmp_path: Path, diagnosis: Diagnosis) -> None:
    trail = AuditTrail(tmp_path / "a")
    for age in (None, 0, 50):
        images = (ImageInput(modality="clinical", data=b"one"),)
        trail.record(Case(images=images, patient=PatientMetadata(age_years=age)), diagnosis)
    assert len({r["input"] for r in records(tmp_path / "a")}) == 3


def test_an_image_that_is_gone_is_recorded_as_not_read(
    tmp_path: Path, case: Case, diagnosis: Diagnosis
) -> None:
    gone = case.images[0].model_copy(update={"path": tmp_path / "gone.jpg"})
    AuditTrail(tmp_path / "a").record(case.model_copy(update={"images": (gone,)}), diagnosis)
    assert next(records(tmp_path / "a"))["images"] == [{"hmac": None, "modality": "clinical"}]


# --- as an observer -----------------------------------------------------------------------------------


def test_as_an_observer_it_records_and_changes_nothing(
    tmp_path: Path, pipeline: Pipeline, case: Case, diagnosis: Diagnosis
) -> None:
    trail = AuditTrail(tmp_path / "a")
    watched = replace(pipeline, observers=(trail,)).diagnose(case)
    assert watched.to_dict() == diagnosis.to_dict()
    assert verify(tmp_path / "a").records == 1


def test_an_observer_that_cannot_write_is_a_notice_and_a_record_that_cannot_is_an_error(
    tmp_path: Path, pipeline: Pipeline, case: Case, diagnosis: Diagnosis
) -> None:
    trail = AuditTrail(tmp_path / "a")
    trail.path.unlink()
    trail.path.mkdir()
    watched = replace(pipeline, observers=(trail,)).diagnose(case)
    assert [n.code for n in watched.notices] == ["ObserverFailed"]
    with pytest.raises(AuditError, match="cannot be opened"):
        trail.record(case, diagnosis)


# --- every change is found ----------------------------------------------------------------------------


def test_a_trail_as_written_holds(tmp_path: Path, whole: list[bytes]) -> None:
    found = verify(trail_of(tmp_path, whole))
    assert (found.holds, found.records, found.torn) == (True, LINES, 0)
    assert found.head == json.loads(whole[-1])["hash"] == head_of(trail_of(tmp_path, whole)).hash


Change = Callable[[list[bytes]], tuple[list[bytes], int]]
"""Lines to other lines, and the number of the first that must be found bad."""


@st.composite
def changes(draw: st.DrawFn) -> Change:
    kind = draw(st.sampled_from(("byte", "cut", "insert", "remove", "swap", "copy", "blank", "space")))
    line = draw(st.integers(0, LINES - 1))
    other = draw(st.integers(0, LINES - 1).filter(lambda k: k != line))
    place = draw(st.integers(0, 10**6))
    byte = draw(st.integers(1, 255))

    def change(lines: list[bytes]) -> tuple[list[bytes], int]:
        at = place % len(lines[line])
        old = lines[line]
        if kind == "byte":
            lines[line] = old[:at] + bytes([old[at] ^ byte]) + old[at + 1 :]
        elif kind == "cut":
            lines[line] = old[:at] + old[at + 1 :]
        elif kind == "insert":
            lines[line] = old[:at] + bytes([byte]) + old[at:]
        elif kind == "space":
            lines[line] = old.replace(b",", b", ", 1)
        elif kind == "remove":
            del lines[min(line, LINES - 2)]
            return lines, min(line, LINES - 2)
        elif kind == "swap":
            lines[line], lines[other] = lines[other], lines[line]
            return lines, min(line, other)
        elif kind == "copy":
            lines.insert(line + 1, lines[line])
            return lines, line + 1
        else:
            lines.insert(line, b"\n")
        return lines, line

    return change


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(change=changes())
def test_every_edit_removal_insertion_and_reordering_is_found_at_its_line(
    tmp_path: Path, whole: list[bytes], change: Change
) -> None:
    lines, first = change(list(whole))
    found = verify(trail_of(tmp_path, lines))
    assert found.fault is not None
    assert found.fault.line == first + 1
    assert found.records == first


def test_a_line_replaced_by_one_that_holds_by_itself_is_found_at_the_next(
    tmp_path: Path, whole: list[bytes]
) -> None:
    content = json.loads(whole[4]) | {"status": "abstained"}
    for name in ("index", "previous", "seal", "hash"):
        content.pop(name)
    forged, _ = linked(content, Link(4, json.loads(whole[3])["hash"]), b"k")
    found = verify(trail_of(tmp_path, [*whole[:4], forged, *whole[5:]]))
    assert found.fault is not None
    assert found.fault.line == 6


def test_lines_cut_off_the_end_are_found_by_the_head_alone(tmp_path: Path, whole: list[bytes]) -> None:
    head = json.loads(whole[-1])["hash"]
    path = trail_of(tmp_path, whole[:-2])
    assert verify(path).holds
    found = verify(path, head=head)
    assert found.fault is not None
    assert (found.fault.line, found.records) == (LINES - 1, LINES - 2)
    assert "cut off" in found.fault.what
    assert verify(trail_of(tmp_path, whole), head=head).holds


def test_an_earlier_head_still_proves_a_trail_that_grew(tmp_path: Path, whole: list[bytes]) -> None:
    assert verify(trail_of(tmp_path, whole), head=json.loads(whole[3])["hash"]).holds
    assert not verify(trail_of(tmp_path, whole), head="0" * 63 + "1").holds
    with pytest.raises(AuditError, match="64 hexadecimal"):
        verify(trail_of(tmp_path, whole), head="latest")


def test_a_chain_computed_anew_passes_without_the_key_and_fails_with_it(
    tmp_path: Path, case: Case, diagnosis: Diagnosis
) -> None:
    trail = AuditTrail(tmp_path / "a")
    for _ in range(3):
        trail.record(case, diagnosis)
    key, forged, link = read_key(key_beside(trail.path)), [], Link()
    for record in list(records(trail.path)):
        content = {k: v for k, v in record.items() if k not in ("index", "previous", "hash", "seal")}
        content["status"] = "abstained"
        line, link = linked(content, link, b"a guess" * 5)
        forged.append(line)
    path = trail_of(tmp_path, forged)
    assert verify(path).holds
    assert not verify(path).seals_checked
    found = verify(path, keys=[key])
    assert found.fault is not None
    assert (found.fault.line, found.seals_checked) == (1, True)
    assert verify(trail.path, keys=[key]).holds
    assert not verify(trail.path, keys=[b"\0" * 32]).holds


def test_reading_records_stops_at_the_first_that_does_not_hold(tmp_path: Path, whole: list[bytes]) -> None:
    reader = records(trail_of(tmp_path, [*whole[:2], *whole[3:]]))
    assert [next(reader)["index"], next(reader)["index"]] == [1, 2]
    with pytest.raises(AuditError, match="line 3"):
        next(reader)


def test_checking_takes_memory_that_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path, link = tmp_path / "a", Link()
    with path.open("wb") as file:
        for _ in range(2000):
            line, link = linked({"filler": "x" * 10_000}, link, b"k")
            file.write(line)
    code = (
        "import resource, sys; from dxtree.audit import verify\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "print(verify(sys.argv[1]).records, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    found, kilobytes = map(int, done.stdout.split())
    assert found == 2000
    assert kilobytes < 8000


def test_a_number_that_json_cannot_hold_is_never_written() -> None:
    with pytest.raises(AuditError, match="JSON"):
        canonical({"p": float("nan")})


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none()
            | st.booleans()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(max_size=5),
            lambda below: st.lists(below, max_size=3),
            max_leaves=5,
        ),
        max_size=4,
    )
)
def test_any_content_survives_being_written_and_read(content: dict[str, object]) -> None:
    line, link = linked(content, Link(), b"key")
    record = parsed(line)
    assert follows(record, Link()) == link
    assert content.items() <= record.items() or {"index", "previous", "seal", "hash"} & content.keys()


# --- torn lines, crashes, full disks ------------------------------------------------------------------


@pytest.mark.parametrize("end", [b"", b"\n"])
@pytest.mark.parametrize("kept", [0, 1, 500])
def test_a_torn_last_line_is_moved_aside_and_the_chain_goes_on(
    tmp_path: Path, case: Case, diagnosis: Diagnosis, kept: int, end: bytes
) -> None:
    trail = AuditTrail(tmp_path / "a")
    for _ in range(2):
        trail.record(case, diagnosis)
    first, second = trail.path.read_bytes().splitlines(keepends=True)
    torn = second[:kept] + end
    trail.path.write_bytes(first + torn)
    AuditTrail(trail.path).record(case, diagnosis)
    found = verify(trail.path, keys=[read_key(key_beside(trail.path))])
    assert (found.holds, found.torn, found.records) == (True, int(bool(torn)), 3 if torn else 2)
    if torn:
        assert (tmp_path / "a.torn").read_bytes().rstrip(b"\n") == torn.rstrip(b"\n")
        assert next(r for r in records(trail.path) if r["kind"] == "torn")["bytes"] == len(torn)


def test_a_trail_whose_only_line_is_torn_begins_again(
    tmp_path: Path, case: Case, diagnosis: Diagnosis
) -> None:
    trail = AuditTrail(tmp_path / "a")
    trail.path.write_bytes(b'{"torn')
    assert trail.record(case, diagnosis).index == 2
    assert verify(trail.path).torn == 1


def test_a_line_torn_behind_a_line_that_does_not_hold_is_no_accident(
    tmp_path: Path, case: Case, diagnosis: Diagnosis
) -> None:
    trail = AuditTrail(tmp_path / "a")
    trail.record(case, diagnosis)
    before = trail.path.read_bytes().replace(b"complete", b"partial!") + b"{"
    trail.path.write_bytes(before)
    with pytest.raises(AuditError, match="dxtree audit verify"):
        trail.record(case, diagnosis)
    assert trail.path.read_bytes() == before


def test_a_trail_without_its_key_is_not_continued_under_another(
    tmp_path: Path, case: Case, diagnosis: Diagnosis
) -> None:
    AuditTrail(tmp_path / "a").record(case, diagnosis)
    (tmp_path / "a.key").unlink()
    with pytest.raises(AuditError, match="is missing"):
        AuditTrail(tmp_path / "a")
    (tmp_path / "a.key").write_text("short")
    with pytest.raises(AuditError, match="64 hexadecimal"):
        AuditTrail(tmp_path / "a")


def test_two_trails_may_share_a_key(tmp_path: Path, case: Case, diagnosis: Diagnosis) -> None:
    for name in ("a", "b"):
        AuditTrail(tmp_path / name, key=tmp_path / "key").record(case, diagnosis)
    one, two = next(records(tmp_path / "a")), next(records(tmp_path / "b"))
    assert one["input"] == two["input"]


@pytest.mark.parametrize("kind", ["folder", "fifo", "device"])
def test_what_is_no_regular_file_is_refused(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "a"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/null")
    with pytest.raises(AuditError):
        AuditTrail(path)
    with pytest.raises(AuditError):
        verify(path)


def test_a_full_disk_is_an_error_and_the_trail_ends_as_before(
    tmp_path: Path, case: Case, diagnosis: Diagnosis
) -> None:
    trail = AuditTrail(tmp_path / "a")
    trail.record(case, diagnosis)
    before = trail.path.read_bytes()
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 700, old[1]))
        with pytest.raises(OutOfSpace):
            trail.record(case, diagnosis)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
        signal.signal(signal.SIGXFSZ, ignored)
    assert trail.path.read_bytes() == before
    assert trail.record(case, diagnosis).index == 2


def test_a_line_that_the_disk_did_not_take_is_taken_back(
    tmp_path: Path, case: Case, diagnosis: Diagnosis, monkeypatch: pytest.MonkeyPatch
) -> None:
    trail = AuditTrail(tmp_path / "a")
    trail.record(case, diagnosis)
    before = trail.path.read_bytes()

    def broken(handle: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(appending_module.os, "fsync", broken)
        with pytest.raises(AuditError, match="cannot be written"):
            trail.record(case, diagnosis)
    assert trail.path.read_bytes() == before


def test_a_trail_moved_away_by_another_program_begins_a_new_file(
    tmp_path: Path, case: Case, diagnosis: Diagnosis
) -> None:
    trail = AuditTrail(tmp_path / "a")
    trail.record(case, diagnosis)
    trail.path.rename(tmp_path / "old")
    assert trail.record(case, diagnosis).index == 1
    assert verify(tmp_path / "old").records == verify(trail.path).records == 1


def test_a_writer_that_waited_while_the_trail_was_moved_away_writes_the_new_one(
    tmp_path: Path, case: Case, diagnosis: Diagnosis
) -> None:
    trail = AuditTrail(tmp_path / "a")
    trail.record(case, diagnosis)
    waiting = threading.Thread(target=trail.record, args=(case, diagnosis))
    with appending_module.locked(trail.path):
        waiting.start()
        time.sleep(0.3)
        trail.path.rename(tmp_path / "old")
    waiting.join()
    assert verify(tmp_path / "old").records == verify(trail.path).records == 1


def _append_many(path: Path, case: Case, diagnosis: Diagnosis, times: int) -> None:
    trail = AuditTrail(path)
    for _ in range(times):
        trail.record(case, diagnosis)


def test_processes_and_threads_that_append_at_the_same_time_make_one_chain(
    tmp_path: Path, case: Case, diagnosis: Diagnosis
) -> None:
    path = tmp_path / "a"
    script = (
        "import sys\n"
        "from dxtree.audit import AuditTrail\n"
        "from core.case import Case, ImageInput\nfrom core.diagnosis import Diagnosis\n"
        "case = Case(images=(ImageInput(modality='m', data=b'x'),))\n"
        "told = Diagnosis('c', 'abstained', None, None, (), 'f', (), ())\n"
        "trail = AuditTrail(sys.argv[1])\n"
        "for _ in range(25): trail.record(case, told)\n"
    )
    others = [subprocess.Popen([sys.executable, "-c", script, path]) for _ in range(4)]
    threads = [threading.Thread(target=_append_many, args=(path, case, diagnosis, 20)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [other.wait(60) for other in others] == [0] * 4
    found = verify(path, keys=[read_key(key_beside(path))])
    assert (found.holds, found.records, found.torn) == (True, 4 * 25 + 3 * 20, 0)


def test_a_writer_killed_at_any_moment_loses_no_record_that_it_was_told_of(tmp_path: Path) -> None:
    path = tmp_path / "a"
    script = (
        "import sys; from dxtree.audit import AuditTrail\n"
        "from core.case import Case, ImageInput\nfrom core.diagnosis import Diagnosis\n"
        "case = Case(images=(ImageInput(modality='m', data=b'x'),))\n"
        "told = Diagnosis('c', 'abstained', None, None, (), 'f' * 100_000, (), ())\n"
        "trail = AuditTrail(sys.argv[1])\n"
        "while True: print(trail.record(case, told).hash, flush=True)\n"
    )
    told: list[str] = []
    for k in range(6):
        writer = subprocess.Popen([sys.executable, "-c", script, path], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        told.append(writer.stdout.readline().strip())
        time.sleep(0.003 * k)
        writer.send_signal(signal.SIGKILL)
        told += [line.strip() for line in writer.stdout.read().splitlines() if len(line.strip()) == 64]
        writer.stdout.close()
        writer.wait()
    AuditTrail(path)
    kept = [record["hash"] for record in records(path)]
    assert len(kept) == len(set(kept))
    assert set(told) <= set(kept)


# --- the commands -------------------------------------------------------------------------------------


def dxtree(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "dxtree", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_diagnose_records_only_when_it_is_asked_to(tmp_path: Path, case: Case) -> None:
    images = [f"--image={i.modality}={i.path}" for i in case.images]
    trail = tmp_path / "a.jsonl"
    plugin = tmp_path / "watcher.py"
    plugin.write_text("from plugins import hookimpl\n@hookimpl\ndef dxtree_diagnosed(case, diagnosis): ...\n")
    done = dxtree("diagnose", "--models", "demonstration", *images, "--age", 61.5, "--json",
                  "--audit", trail, "--plugin", plugin)  # fmt: skip
    assert done.returncode == 0, done.stderr
    (record,) = records(trail)
    assert record["nodes"] == json.loads(done.stdout)["tree"]
    assert record["plugins"]["watcher"].startswith("sha256:")
    assert "61.5" not in trail.read_text()
    head = dxtree("audit", "head", trail).stdout.strip()
    assert head == record["hash"]
    checked = dxtree("audit", "verify", trail, "--head", head)
    assert (checked.returncode, "seals hold" in checked.stdout) == (0, True)


def test_no_answer_is_printed_that_could_not_be_recorded(tmp_path: Path, case: Case) -> None:
    images = [f"--image={i.modality}={i.path}" for i in case.images]
    done = dxtree("diagnose", "--models", "demonstration", *images, "--audit", tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1


def test_verify_says_the_first_bad_line_and_ends_with_1(tmp_path: Path, whole: list[bytes]) -> None:
    path = trail_of(tmp_path, [*whole[:4], *whole[5:]])
    done = dxtree("audit", "verify", path)
    assert done.returncode == 1
    assert done.stdout.startswith("line 5: ")
    found = json.loads(dxtree("audit", "verify", path, "--json").stdout)
    assert (found["holds"], found["fault"]["line"], found["records"]) == (False, 5, 4)
    assert dxtree("audit", "head", path).returncode == 2
    assert dxtree("audit", "verify", tmp_path / "absent").returncode == 2
