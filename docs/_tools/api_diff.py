"""What the public API of a package has lost since its last release."""

import dataclasses
import logging
import re
from collections.abc import Iterable, Iterator
from typing import Final

import griffe
from packaging.version import Version
from registry import Entry
from repository import PACKAGES, Repository

# A changed default or annotation takes nothing away that was there; the rest does.
_LOSSES: Final = {
    griffe.BreakageKind.OBJECT_REMOVED: "is gone",
    griffe.BreakageKind.OBJECT_CHANGED_KIND: "is something else",
    griffe.BreakageKind.PARAMETER_REMOVED: "is gone",
    griffe.BreakageKind.PARAMETER_MOVED: "is at another place",
    griffe.BreakageKind.PARAMETER_CHANGED_KIND: "is given in another way",
    griffe.BreakageKind.PARAMETER_CHANGED_REQUIRED: "is required",
    griffe.BreakageKind.PARAMETER_ADDED_REQUIRED: "is new and required",
    griffe.BreakageKind.CLASS_REMOVED_BASE: "lost a base class",
}


@dataclasses.dataclass(frozen=True, order=True)
class Loss:
    """Something that the public API had, or had otherwise.

    Attributes:
        name: The public name, in the registry's spelling.
        what: What became of it.
    """

    name: str
    what: str


Api = griffe.ModulesCollection
"""The four packages, as read from their source."""


def read(repository: Repository) -> Api:
    """Read the source of the four packages; nothing of it is run."""
    logging.getLogger("griffe").setLevel(logging.ERROR)
    roots = [repository.sources(package) for package in PACKAGES]
    loader = griffe.GriffeLoader(search_paths=roots, allow_inspection=False)
    for package in PACKAGES:
        if repository.init(package).exists():
            loader.load(f"antiphon.{package}")
    loader.resolve_aliases(implicit=True, external=False)
    return loader.modules_collection


def missing(api: Api, entries: Iterable[Entry]) -> list[str]:
    """Compare the entries' states with what there is."""
    problems: list[str] = []
    for entry in entries:
        for name in entry.public_names():
            there = has(api, name)
            if entry.state == "warning" and not there:
                problems.append(f"{entry.id}: {name} is gone, but the entry does not say removed")
            if entry.state == "removed" and there:
                problems.append(f"{entry.id}: {name} is still there, but the entry says removed")
    return problems


def has(api: Api, name: str) -> bool:
    """Tell whether there is a public object, or argument, *name*."""
    head, _, argument = name.partition("(")
    try:
        found = api[head]
        target = found.final_target if isinstance(found, griffe.Alias) else found
    except (KeyError, griffe.AliasResolutionError, griffe.CyclicAliasError):
        return False
    if not argument:
        return True
    if isinstance(target, griffe.Class | griffe.Function):
        return argument.removesuffix("=)") in [each.name for each in target.parameters]
    return False


def losses(old: Api, new: Api, package: str) -> list[Loss]:
    """Return what *package* had in *old* and has not, or has narrower, in *new*."""
    module = f"antiphon.{package}"
    found: set[Loss] = set()
    for breakage in griffe.find_breaking_changes(old[module], new[module]):
        what = _LOSSES.get(breakage.kind)
        if what is None:
            continue
        path = _public(old, package, breakage.obj.path)
        if path is None:
            continue
        name = path
        if breakage.kind.name.startswith("PARAMETER"):
            # The explanation is the one place that names the argument of each kind of breakage.
            value = breakage.new_value if "ADDED" in breakage.kind.name else breakage.old_value
            head = re.sub(r"\.__init__$", "", path)
            name = f"{head}({getattr(value, 'name', '?')}=)"
        found.add(Loss(name, what))
    gone = {loss.name for loss in found}
    kept = {str(name) for name in new[module].exports or []}
    for name in sorted({str(name) for name in old[module].exports or []} - kept):
        if f"{module}.{name}" not in gone:
            found.add(Loss(f"{module}.{name}", "is no longer in __all__"))
    return sorted(found)


def _public(old: Api, package: str, path: str) -> str | None:
    """Return the shortest public name of the object at *path*; ``None`` if it has none."""
    module = old[f"antiphon.{package}"]
    exported = set(module.exports or [])
    owner = path
    while owner.count(".") >= 2:
        for name in sorted(str(each) for each in exported):
            member = module.members.get(name)
            if member is not None and owner in {member.path, _target(member)}:
                return f"{module.path}.{name}{path[len(owner) :]}"
        owner = owner.rpartition(".")[0]
    return (
        path
        if all(not part.startswith("_") or part == "__init__" for part in path.split("."))
        else None
    )


def _target(member: griffe.Object | griffe.Alias) -> str:
    try:
        return member.canonical_path
    except (griffe.AliasResolutionError, griffe.CyclicAliasError):
        return member.path


def unexplained(found: Iterable[Loss], entries: Iterable[Entry]) -> Iterator[Loss]:
    """Leave out the losses that the registry records as removed."""
    removed = [
        name for entry in entries if entry.state == "removed" for name in entry.public_names()
    ]
    endings = {name.partition(".")[2].partition(".")[2] for name in removed}
    for loss in found:
        # A package shows names of core as its own: the last part is the same.
        if loss.name.partition(".")[2].partition(".")[2] not in endings:
            yield loss


def problems(repository: Repository, api: Api, entries: list[Entry]) -> list[str]:
    """Compare each package with its last release; one that has none passes."""
    found: list[str] = []
    for package in PACKAGES:
        tag = repository.last_tag(package)
        if tag is None:
            continue
        with repository.at(tag) as then:
            before = read(then)
            found += [
                f"antiphon-{package}: {loss.name} {loss.what} since {tag}, and no entry says removed"
                for loss in unexplained(losses(before, api, package), entries)
            ]
    return found


def version_problems(entries: Iterable[Entry], package: str, version: Version) -> list[str]:
    """Return what is wrong with removals that *version* of *package* would bring."""
    return [
        f"{entry.id}: removed in {entry.removed_in}, which does not come with {version}"
        for entry in entries
        if entry.short_package == package
        and entry.removed_in is not None
        and Version(entry.removed_in) > version
    ]
