"""Where things stand and how large they are: rules that a reader may rely on."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("study", "trainables", "analysis")
SHELVES = ("encoders", "aggregators", "losses", "views", "wrappers")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
LONGEST_FILE = 250
LONGEST_FUNCTION = 50
EMPTY_NAMES = {"utils", "util", "common", "helpers", "misc"}
COMPONENTS = sorted(
    path
    for shelf in SHELVES
    for path in (ROOT / "trainables" / shelf).glob("*.py")
    if path.stem not in ("__init__", "library")  # a library's adapter is no component itself
)
TREES = {path: ast.parse(path.read_text()) for path in SOURCES}
CLASSES = {
    node.name: node
    for tree in TREES.values()
    for node in ast.walk(tree)
    if isinstance(node, ast.ClassDef)
}


def place(path):
    return str(path.relative_to(ROOT))


def names(nodes):
    """Last words of the names in an expression list: ``final`` for ``typing.final``."""
    called = (node.func if isinstance(node, ast.Call) else node for node in nodes)
    plain = (node.value if isinstance(node, ast.Subscript) else node for node in called)
    return [getattr(node, "attr", getattr(node, "id", None)) for node in plain]


def is_final(node):
    return "final" in names(node.decorator_list) or "NamedTuple" in names(node.bases)


def is_abstract(node):
    """Whether a class leaves a method open, or holds settings for its children and nothing else."""
    methods = [part for part in node.body if isinstance(part, ast.FunctionDef)]
    fields = [part for part in node.body if isinstance(part, ast.AnnAssign)]
    is_open = any("abstractmethod" in names(method.decorator_list) for method in methods)
    return is_open or not (methods or fields or is_final(node) or is_error(node))


def is_error(node):
    """Whether a class is an exception: these form small trees whose roots may be raised."""
    bases = [str(base) for base in names(node.bases)]
    return any(
        base.endswith(("Error", "Exception")) or (base in CLASSES and is_error(CLASSES[base]))
        for base in bases
    )


def bases_of(node):
    return [CLASSES[base] for base in names(node.bases) if base in CLASSES]


@pytest.mark.parametrize("component", COMPONENTS, ids=place)
def test_every_component_has_a_twin_test(component):
    twin = ROOT / "tests" / "trainables" / component.parent.name / f"test_{component.name}"
    assert twin.exists()


@pytest.mark.parametrize("shelf", SHELVES)
def test_every_twin_test_has_its_component(shelf):
    tested = {path.stem for path in (ROOT / "tests" / "trainables" / shelf).glob("test_*.py")}
    assert tested - {"test_library"} == {
        f"test_{path.stem}" for path in COMPONENTS if path.parent.name == shelf
    }


@pytest.mark.parametrize("component", COMPONENTS, ids=place)
def test_a_component_file_holds_one_public_class(component):
    classes = [node.name for node in TREES[component].body if isinstance(node, ast.ClassDef)]
    assert len([name for name in classes if not name.startswith("_")]) == 1
    assert ast.get_docstring(TREES[component]) is None  # its class says everything


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_is_final_or_abstract(name):
    node = CLASSES[name]
    assert is_final(node) != is_abstract(node) or (is_error(node) and not is_abstract(node))


@pytest.mark.parametrize("name", CLASSES)
def test_only_abstract_classes_are_bases(name):
    assert [base.name for base in bases_of(CLASSES[name]) if is_final(base)] == []
    assert [b.name for b in bases_of(CLASSES[name]) if not is_abstract(b) and not is_error(b)] == []


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_a_file_is_read_at_one_go(path):
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_a_function_is_read_at_one_glance(path):
    functions = (n for n in ast.walk(TREES[path]) if isinstance(n, ast.FunctionDef))
    lengths = {function.name: function.end_lineno - function.lineno + 1 for function in functions}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FUNCTION} == {}


@pytest.mark.parametrize("path", [p for p in SOURCES if p.stem == "__init__"], ids=place)
def test_a_package_says_what_it_is_and_imports_nothing(path):
    assert [type(statement) for statement in TREES[path].body] == [ast.Expr]
    assert ast.get_docstring(TREES[path])


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_a_module_is_named_for_what_it_holds(path):
    for name in (path.stem, path.parent.name):
        assert name not in EMPTY_NAMES
        assert not name.startswith("base")


@pytest.mark.parametrize("path", SOURCES, ids=place)
def test_shapes_stay_visible_at_run_time(path):
    imported = {n.module for n in ast.walk(TREES[path]) if isinstance(n, ast.ImportFrom)}
    assert path.parts[len(ROOT.parts)] != "trainables" or "__future__" not in imported
