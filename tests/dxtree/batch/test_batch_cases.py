"""Which files of cases are refused as a whole, which rows by themselves, and is the reading exact?"""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import (
    DuplicateId,
    DxtreeError,
    EmptyInput,
    InputError,
    MetadataError,
    MissingExtra,
    PathRejected,
)
from dxtree.batch import Batch, survey
from dxtree.batch.survey import open_cases
from tests.dxtree.batch.conftest import batch, lines, write_csv

MODALITIES = ("clinical", "dermoscopy")
GOOD = b"id,age_years,dermoscopy\na,1,x.jpg\n"


def surveyed(path: Path, shard_rows: int = 2) -> survey.Cases:
    return survey.survey(open_cases(path, None, MODALITIES), shard_rows)


def named(tmp_path: Path, content: bytes, name: str = "cases.csv") -> Path:
    (tmp_path / name).write_bytes(content)
    return tmp_path / name


@pytest.mark.parametrize(
    ("content", "kind", "text"),
    [
        (b"", EmptyInput, "is empty"),
        (b"id,dermoscopy\n", EmptyInput, "holds no case"),
        ("id,dermoscopy\na,x\n".encode("utf-16"), InputError, "line 1 is not UTF-8"),
        (GOOD + "b,2,ä.jpg\n".encode("latin-1"), InputError, "line 3 is not UTF-8"),
        (GOOD + b"b,2\n", InputError, r"line 3 has 2 field\(s\)"),
        (GOOD + b"b,2,y.jpg,\n", InputError, r"line 3 has 4 field\(s\)"),
        (GOOD + b"\nb,2,y.jpg\n", InputError, r"line 3 has 0 field\(s\)"),
        (GOOD + b'b,2,"y.jpg\n', InputError, "a quote is open"),
        (GOOD + b'b,2,"y"z\n', InputError, "cannot be read as CSV"),
        (GOOD + b"b,2," + b"y" * 200_000 + b"\n", InputError, "cannot be read as CSV"),
        (GOOD + b"b,2," + b"y" * 2_000_000 + b"\n", InputError, "line 3 has more than"),
        (GOOD.replace(b"\n", b"\r"), InputError, "cannot be read as CSV"),
        (GOOD + b",2,y.jpg\n", EmptyInput, "case 2 has an empty id"),
        (GOOD + b"b,2,y.jpg\na,3,z.jpg\n", DuplicateId, "cases 1 and 3 have one id"),
        (b"a,1,x.jpg\n", InputError, "no column 'id'"),
        (b"id,dermoscopie\na,x\n", InputError, "'dermoscopie'.*did you mean 'dermoscopy'"),
        (b"id,dermoscopy,dermoscopy\na,x,y\n", InputError, "names the column 'dermoscopy' twice"),
        (b"id,age_years\na,1\n", InputError, "no column of images; name one of clinical, dermoscopy"),
    ],
)
def test_a_damaged_table_is_refused_before_anything_is_written(
    tmp_path: Path, content: bytes, kind: type[DxtreeError], text: str
) -> None:
    path = named(tmp_path, content)
    with pytest.raises(kind, match=text) as caught:
        surveyed(path)
    assert caught.value.exit_code == 2
    assert "x.jpg" not in caught.value.safe_message
    with pytest.raises(kind):
        batch(path, tmp_path / "out").run()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b'{"id": "a"}\n{"id": \n', "line 2 is no JSON object"),
        (b'{"id": "a"}\n\n', "line 2 is no JSON object"),
        (b'["a"]\n', "line 1 is no JSON object"),
        (b"[" * 100_000 + b"\n", "line 1 is no JSON object"),
        (b'{"id": "a", "id": "b"}\n', "names each key once"),
        (b'{"id": 7}\n', "no text as 'id'"),
        (b'{"images": []}\n', "no text as 'id'"),
        (b'{"id": "a"}\n{"id": "a"}\n', "cases 1 and 2 have one id"),
        (b'{"id": "\xff"}\n', "line 1 is not UTF-8"),
    ],
)
def test_json_lines_that_are_no_cases_are_refused_as_a_whole(
    tmp_path: Path, content: bytes, text: str
) -> None:
    with pytest.raises(InputError, match=text):
        surveyed(named(tmp_path, content, "cases.jsonl"))


def test_a_byte_order_mark_and_foreign_line_ends_change_nothing(tmp_path: Path) -> None:
    path = named(tmp_path, b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n"))
    found = surveyed(path)
    assert [r.id for b in found.blocks for r in found.reader.read(b)] == ["a"]


@pytest.mark.parametrize("age", ["-1", "121", "6_2", "1e1", " 62", "nan", "inf", "sixty", "٦٢", "62,5"])
def test_an_age_that_is_no_plain_number_of_years_is_that_rows_fault(tmp_path: Path, age: str) -> None:
    path = write_csv(tmp_path / "c.csv", [["a", age, "", "", "x.jpg", ""]])
    found = surveyed(path)
    (row,) = found.reader.read(found.blocks[0])
    with pytest.raises(MetadataError) as caught:
        found.reader.case(row)
    assert age not in caught.value.safe_message.replace("0 to 120", "").replace("62.5", "")


def test_an_image_outside_the_root_is_rejected_whatever_way_it_is_named(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside.jpg"
    root.mkdir()
    outside.write_bytes(b"secret")
    (root / "link.jpg").symlink_to(outside)
    (tmp_path / "root-beside").mkdir()
    names = [
        "../outside.jpg",
        str(outside),
        "link.jpg",
        "a/../../outside.jpg",
        "x\0.jpg",
        "../root-beside/x.jpg",
    ]
    path = write_csv(root / "c.csv", [[f"c{k}", "", "", "", n, ""] for k, n in enumerate(names)])
    found = surveyed(path, 100)
    for row in found.reader.read(found.blocks[0]):
        with pytest.raises(PathRejected) as caught:
            found.reader.case(row)
        assert "outside.jpg" not in caught.value.safe_message
    raw = [{"id": str(k), "images": [{"modality": "dermoscopy", "path": n}]} for k, n in enumerate(names)]
    path = named(root, "".join(json.dumps(r) + "\n" for r in raw).encode(), "c.jsonl")
    found = surveyed(path, 100)
    for row in found.reader.read(found.blocks[0]):
        with pytest.raises(PathRejected):
            found.reader.case(row)


def test_a_row_may_hold_what_only_json_can_spell(folder: Path, tmp_path: Path) -> None:
    image = {"modality": "dermoscopy", "path": "0-dermoscopy.jpg"}
    rows = [
        {"id": "\ud800", "images": [image]},
        {"id": 'a"b\\ "fault": {', "images": [image]},
        {"id": "x" * 300, "images": [image]},
        {"id": "c", "images": [image], "patient": {"age_years": float("nan")}},
        {"id": "d", "images": [{"modality": "xray", "path": "0-dermoscopy.jpg"}]},
        {"id": "e", "images": "all"},
        {"id": "f", "images": [image], "name": "Jane"},
    ]
    path = named(tmp_path, "".join(json.dumps(r) + "\n" for r in rows).encode(), "c.jsonl")
    found = batch(path, tmp_path / "out", root=folder, shard_rows=3).run()
    told = lines(tmp_path / "out")
    assert [t["id"] for t in told] == [r["id"] for r in rows]
    assert [t.get("fault", {}).get("code") for t in told] == [
        "CaseError", None, "CaseError", "MetadataError", "UnknownModality", "CaseError", "CaseError",
    ]  # fmt: skip
    assert "Jane" not in json.dumps(told)
    assert found.faults == 6


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=("Cs",)), min_size=1),
            st.text(st.characters(exclude_categories=("Cs",))),
        ),
        min_size=1,
        max_size=12,
        unique_by=lambda row: row[0],
    ),
    st.integers(1, 5),
    st.sampled_from(["\n", "\r\n"]),
)
def test_any_text_comes_back_from_any_block_as_the_csv_module_wrote_it(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], shard_rows: int, end: str
) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL).writerows([("id", "clinical"), *rows])
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(text.getvalue().encode())
    found = surveyed(path, shard_rows)
    assert found.rows == len(rows) == sum(b.rows for b in found.blocks)
    for block in reversed(found.blocks):  # each from its own place on
        read = [(r.number, r.id, r.raw["clinical"]) for r in found.reader.read(block)]
        first = block.first - 1
        assert read == [(first + k + 1, *row) for k, row in enumerate(rows[first : first + block.rows])]


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused_by_type(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    for name, start in (("any.csv", b"id,clinical\n"), ("any.jsonl", b""), ("any.parquet", b"PAR1")):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(start + content)
        try:
            found = surveyed(path)
        except (InputError, MissingExtra):
            continue
        for block in found.blocks:
            for row in found.reader.read(block):
                try:
                    found.reader.case(row)
                except InputError:
                    continue


def test_parquet_says_what_a_column_must_hold(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    good = {"id": ["a"], "age_years": [1.0], "clinical": ["x.jpg"]}
    for wrong, text in (
        ({"id": [1]}, "'id' must hold texts"),
        ({"age_years": ["1"]}, "'age_years' must hold numbers"),
        ({"clinical": [b"x"]}, "'clinical' must hold texts or lists"),
        ({"name": ["Jane"]}, "'name' that is none of"),
        ({"id": pyarrow.array([None], pyarrow.string())}, "without id"),
    ):
        parquet.write_table(pyarrow.table(good | wrong), tmp_path / "c.parquet")
        with pytest.raises(InputError, match=text):
            surveyed(tmp_path / "c.parquet")
    categories = {"sex": pyarrow.array(["male"]).dictionary_encode(), "age_years": [62]}
    parquet.write_table(pyarrow.table(good | categories), tmp_path / "c.parquet")
    found = surveyed(tmp_path / "c.parquet")
    (row,) = found.reader.read(found.blocks[0])
    assert found.reader.case(row).patient.known() == ("age_years", "sex")


def test_every_block_of_parquet_is_read_from_its_own_row_on(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    names = [f"c{k}" for k in range(23)]
    for groups in (1, 4, 100):
        parquet.write_table(
            pyarrow.table({"id": names, "clinical": names}), tmp_path / "c.parquet", row_group_size=groups
        )
        found = surveyed(tmp_path / "c.parquet", 5)
        for block in reversed(found.blocks):
            read = [(r.number, r.id) for r in found.reader.read(block)]
            assert read == [(k + 1, names[k]) for k in range(block.first - 1, block.first - 1 + block.rows)]


@pytest.mark.parametrize(
    ("name", "kind"), [("absent.csv", PathRejected), ("cases.xlsx", InputError), ("cases", InputError)]
)
def test_another_kind_of_file_is_refused(tmp_path: Path, name: str, kind: type[DxtreeError]) -> None:
    if name != "absent.csv":
        named(tmp_path, GOOD, name)
    with pytest.raises(kind):
        surveyed(tmp_path / name)


def test_senseless_sizes_are_refused(folder: Path, tmp_path: Path) -> None:
    for options in ({"shard_rows": 0}, {"window": 0}):
        with pytest.raises(InputError, match="give 1 or more"):
            Batch(folder / "cases.csv", tmp_path / "out", **options).run()  # type: ignore[arg-type]


PEAK = """
import sys
from pathlib import Path
from dxtree.batch import Batch, Recipe
from plugins.config import Settings
Batch(Path(sys.argv[1]), Path(sys.argv[2]), Recipe(settings=Settings(models="demonstration"))).run()
print(next(l for l in Path("/proc/self/status").read_text().splitlines() if l.startswith("VmHWM")).split()[1])
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="only Linux tells its peak")
def test_a_hundred_thousand_rows_need_no_more_memory_than_a_thousand(tmp_path: Path) -> None:
    peaks = []
    for rows in (1_000, 100_000):
        path = write_csv(
            tmp_path / f"{rows}.csv", ([f"case {k}", "300", "", "", "x.jpg", ""] for k in range(rows))
        )
        done = subprocess.run(
            [sys.executable, "-c", PEAK, str(path), str(tmp_path / f"out{rows}")],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        peaks.append(int(done.stdout))
        summary = json.loads((tmp_path / f"out{rows}" / "summary.json").read_text("utf-8"))
        assert summary["codes"] == {"MetadataError": rows}
    # One hash a row is kept while ids are compared, about 100 bytes in a Python set.
    assert peaks[1] - peaks[0] < 20_000
