"""A package that adds a component to the platform, as one that a user has installed."""

import os
import shutil
from pathlib import Path


def install(folder: Path, source: Path | str, target: str, kind: str = "aggregators") -> Path:
    """A folder to put on Python's path, with a package that announces one class.

    Args:
        folder: where to make it; may hold others.
        source: the module, as a file or as its text.
        target: name of the component and of the class, as ``first = FirstAggregator``.
        kind: of component, as its folder is called.
    """
    name, _, found = target.partition(" = ")
    module = folder / f"{name}_package"
    module.mkdir(parents=True)
    if isinstance(source, Path):
        shutil.copy(source, module / "__init__.py")
    else:
        (module / "__init__.py").write_text(source)
    about = folder / f"{name}_package-1.2.3.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}-package\nVersion: 1.2.3\n"
    )
    entry = f"{name} = {name}_package:{found}"
    (about / "entry_points.txt").write_text(f"[groupstudy.{kind}]\n{entry}\n")
    return folder


def path_with(folder: Path) -> str:
    """Python's path for a process that shall see what is installed in a folder."""
    known = os.environ.get("PYTHONPATH")
    return os.pathsep.join([str(folder), *([known] if known else [])])
