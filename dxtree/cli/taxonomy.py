"""`dxtree taxonomy`: what is in a tree, what is wrong with it, and how do two trees compare?"""

from __future__ import annotations

import json as json_module
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dxtree.cli.options import JsonOption, PluginOption, existing, print_json, registry_of

if TYPE_CHECKING:
    from dxtree.taxonomies import Mapped, Tree

app = typer.Typer(
    no_args_is_help=True,
    help="Trees of diagnoses: show, validate, map to each other, compare. A tree is the name of one that a "
    "plugin offers, or a CSV or JSON file.",
)

TreeArgument = Annotated[
    str, typer.Argument(metavar="TREE", help="Name of an offered tree, or a CSV or JSON file.")
]
OtherArgument = Annotated[str, typer.Argument(metavar="OTHER", help="The other tree, in the same ways.")]
ParentsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--parents",
        help="A term with several parents keeps the `first` of the file, or PARENT: NODE=PARENT. Repeatable.",
    ),
]
AddParentsOption = Annotated[
    bool,
    typer.Option("--add-parents", help="Parents that a file names and does not hold: the first level."),
]
_SHOWN = 40  # lines of a list in a terminal; files and JSON hold all


@app.command("show")
def show(
    tree: TreeArgument,
    under: Annotated[str | None, typer.Option(help="Only this node, by id, and what lies below it.")] = None,
    depth: Annotated[int | None, typer.Option(min=0, help="Levels below the topmost that is shown.")] = None,
    find: Annotated[str, typer.Option(help="Only nodes that hold these words, and what is above them.")] = "",
    ids: Annotated[bool, typer.Option("--ids", help="Ids beside the names.")] = False,
    codes: Annotated[bool, typer.Option("--codes", help="Codes of the clinic's code systems.")] = False,
    most: Annotated[int, typer.Option(min=1, help="Lines at most.")] = 500,
    parents: ParentsOption = None,
    add_parents: AddParentsOption = False,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Draw a tree, or print it as the JSON that every command reads."""
    from dxtree.taxonomies import View, draw, level_sizes

    found = _open(tree, plugin, parents, add_parents)
    if json:
        print_json(_document(found, codes=codes))
        return
    for line in draw(found, View(under, depth, find, ids, codes, most)):
        typer.echo(line)
    sizes = level_sizes(found.taxonomy)
    typer.echo(f"\n{len(found.taxonomy):,} nodes, {sum(m for _, _, m in sizes):,} of them leaves")
    for level, nodes, leaves in sizes:
        typer.echo(f"  level {level}: {nodes:,} nodes, {leaves:,} leaves")


@app.command("validate")
def validate(
    tree: TreeArgument,
    parents: ParentsOption = None,
    add_parents: AddParentsOption = False,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Say everything that is wrong with a tree, with its lines. Ends with 2 where anything is."""
    from dxtree.taxonomies import judge

    judged = judge(tree, registry_of(plugin), parents or (), add_absent=add_parents)
    found = judged.tree
    if json:
        print_json(
            {
                "valid": found is not None,
                "faults": [asdict(f) for f in judged.faults],
                "counted_in": f"{judged.unit}s",
                "remarks": found.remarks() if found else [],
                "nodes": len(found.taxonomy) if found else None,
                "fingerprint": found.taxonomy.fingerprint if found else None,
            }
        )
    elif found is not None:
        taxonomy = found.taxonomy
        _remark(found)
        typer.echo(
            f"{taxonomy.name}: {len(taxonomy):,} nodes, {taxonomy.max_depth} levels, {taxonomy.fingerprint}"
        )
    for fault in () if json else judged.faults:
        shown = ", ".join(map(str, fault.lines[:8])) + (" ..." if len(fault.lines) > 8 else "")
        where = f"{judged.unit} {shown}: " if fault.lines else ""
        typer.echo(f"{where}{fault.text}")
    if judged.faults:
        if not json:
            many = len(judged.faults)
            typer.echo(f"{many:,} fault{'s' * (many > 1)}")
        raise typer.Exit(2)


@app.command("map")
def map_(
    tree: TreeArgument,
    other: OtherArgument,
    with_: Annotated[
        Path | None,
        typer.Option("--with", help="CSV from,to: what somebody decided; it goes before all else."),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write every node to this CSV, to be reviewed.")] = None,
    codes: Annotated[
        str | None,
        typer.Option(help="Ids of TREE are codes of this system, such as ICD-10.", metavar="SYSTEM"),
    ] = None,
    other_codes: Annotated[str | None, typer.Option(help="The same of OTHER.", metavar="SYSTEM")] = None,
    propose: Annotated[bool, typer.Option(help="Propose near names where there is no counterpart.")] = True,
    parents: ParentsOption = None,
    other_parents: Annotated[list[str] | None, typer.Option(help="--parents of OTHER.")] = None,
    add_parents: AddParentsOption = False,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Find each node's counterpart in another tree: by review, id, code, name or synonym, never by guess."""
    from core.errors import TaxonomyError, did_you_mean
    from dxtree.exchange.codes import SYSTEMS
    from dxtree.taxonomies import map_trees, mapping_csv, read_reviewed

    for system in (codes, other_codes):
        if system is not None and system not in SYSTEMS:
            known = ", ".join(SYSTEMS)
            raise TaxonomyError(
                f"no code system {system!r}; there are {known}{did_you_mean(system, SYSTEMS)}"
            )
    first = _open(tree, plugin, parents, add_parents)
    second = _open(other, plugin, other_parents, add_parents)
    reviewed = (
        read_reviewed(existing(with_, "the mapping"), first.taxonomy, second.taxonomy) if with_ else None
    )
    mapped = map_trees(first, second, reviewed, codes=(codes, other_codes), propose=propose)
    if out is not None:
        out.write_text(mapping_csv(mapped), "utf-8")
    if json:
        print_json(mapped.to_dict())
    else:
        _show_mapping(mapped, written=out is not None)


@app.command("diff")
def diff(
    tree: TreeArgument,
    other: OtherArgument,
    parents: ParentsOption = None,
    other_parents: Annotated[list[str] | None, typer.Option(help="--parents of OTHER.")] = None,
    add_parents: AddParentsOption = False,
    same: Annotated[bool, typer.Option("--same", help="End with 2 where anything differs.")] = False,
    plugin: PluginOption = None,
    json: JsonOption = False,
) -> None:
    """Say what was added, removed, renamed and moved from one version of a tree to another, by id."""
    from core.errors import TaxonomyError
    from dxtree.taxonomies import difference

    first = _open(tree, plugin, parents, add_parents)
    second = _open(other, plugin, other_parents, add_parents)
    found = difference(first.taxonomy, second.taxonomy)
    if json:
        print_json(found.to_dict())
    else:
        for kind in ("added", "removed", "reordered"):
            _list(kind, getattr(found, kind))
        for kind in ("renamed", "moved", "perhaps"):
            title = "removed and added under one name, perhaps moved" if kind == "perhaps" else kind
            _list(title, [f"{c.node}: {c.before} -> {c.after}" for c in getattr(found, kind)])
        if found.none:
            typer.echo("no difference")
    if same and not found.none:
        raise TaxonomyError(f"{tree} and {other} differ")


def _open(tree: str, plugin: list[str] | None, parents: Sequence[str] | None, add: bool) -> Tree:
    from dxtree.taxonomies import open_tree

    found = open_tree(tree, registry_of(plugin), parents or (), add_absent=add)
    _remark(found)
    return found


def _remark(tree: Tree) -> None:
    for line in tree.remarks():
        typer.echo(f"{tree.taxonomy.name}: {line}", err=True)


def _document(tree: Tree, *, codes: bool) -> dict[str, Any]:
    from dxtree.exchange.codes import codes_of

    document: dict[str, Any] = json_module.loads(tree.taxonomy.to_json())
    for node in document["nodes"]:
        if synonyms := tree.synonyms.get(node["id"]):
            node["synonyms"] = list(synonyms)
        known = codes_of(tree.taxonomy, node["id"]) if codes else ()
        if known:
            node["codes"] = [{"system": c.system.name, "code": c.code, "display": c.display} for c in known]
        if tree.images is not None and node["id"] in tree.images:
            node["images"] = tree.images[node["id"]]
    return document


def _show_mapping(mapped: Mapped, *, written: bool) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"{mapped.source.name} to {mapped.target.name}")
    for column in ("nodes", "status", "such as"):
        table.add_column(column, justify="right" if column == "nodes" else "left", overflow="fold")
    for status, count in mapped.counts.items():
        some = next((c for c in mapped.nodes if c.status == status), None)
        parts = (
            []
            if some is None
            else [some.name, *([f"-> {some.to} ({some.by or 'its ancestor'})"] if some.to else [])]
        )
        table.add_row(f"{count:,}", status, Text(" ".join(parts)))
    Console().print(table)
    _list("several nodes, one counterpart", [f"{to}: {' | '.join(n)}" for to, n in mapped.shared.items()])
    _list("ambiguous", [f"{c.node}: {' | '.join(c.also)}" for c in mapped.nodes if c.status == "ambiguous"])
    proposals = [f"{c.node}: perhaps {' | '.join(c.near)}" for c in mapped.nodes if c.near]
    _list("proposed, not used", proposals, "" if written else "; --out FILE.csv writes all, to be reviewed")


def _list(title: str, lines: Iterable[str], hint: str = "") -> None:
    found = list(lines)
    if found:
        typer.echo(f"{title} ({len(found):,}){hint}")
        for line in found[:_SHOWN]:
            typer.echo(f"  {line}")
        if len(found) > _SHOWN:
            typer.echo(f"  ... {len(found) - _SHOWN:,} more; --json lists all")
