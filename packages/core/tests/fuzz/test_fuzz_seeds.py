"""Each fuzz target, on its seeds: what it starts from, and what once showed a mistake."""

import runpy
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TARGETS = sorted(path.stem.removeprefix("fuzz_") for path in HERE.glob("fuzz_*.py"))


@pytest.mark.parametrize("target", TARGETS)
def test_target_finds_nothing_wrong_with_its_seeds(target: str) -> None:
    fuzz_one = runpy.run_path(str(HERE / f"fuzz_{target}.py"))["fuzz_one"]
    seeds = sorted((HERE / "seeds" / target).iterdir())
    assert seeds, "a target that starts from nothing finds little"
    for seed in seeds:
        data = seed.read_bytes()
        fuzz_one(data)
        for at in range(min(len(data), 200)):
            fuzz_one(data[:at])
