"""A folder of images by class: ``CLASS/*.png``, or ``train/CLASS/*`` and ``test/CLASS/*``."""

from pathlib import Path

from trainables.data import DataError, PointSet
from trainables.importers.pictures import SUFFIXES, Picture, point_set_of

FORM = f"a folder of images by class, CLASS/* or {{train,test}}/CLASS/* ({' '.join(SUFFIXES)})"


def recognises(source: Path) -> bool:
    """Whether this is a folder with image files in it, or up to two folders deeper."""
    return any(_is_image(file) for depth in ("*", "*/*", "*/*/*") for file in source.glob(depth))


def read(source: Path, size: int | None = None) -> PointSet:
    """The images of a folder, each in the class that its own folder names.

    Where the folders ``train`` and ``test`` both hold folders, they are the official split. Hidden
    files and folders, and files that are no images by their suffix, are passed over.

    Args:
        source: the folder.
        size: height and width in pixels that every image is resized to, or None to keep them.

    Raises:
        DataError: with every image out of its place, every class without images, and whatever
            :func:`trainables.importers.pictures.point_set_of` finds.
    """
    parts = _parts(source)
    problems = [] if source in parts else _side_problems(source)
    pictures: list[Picture] = []
    for part, is_test in parts.items():
        problems += _stray_problems(part)
        for folder in _folders(part):
            images = _images(folder)
            problems += _class_problems(folder, images, source)
            pictures += [
                Picture(str(image), folder.name, is_test, image.read_bytes) for image in images
            ]
    if problems:
        raise DataError(problems)
    return point_set_of(pictures, source, size)


def _parts(source: Path) -> dict[Path, bool | None]:
    """The folders that hold folders of classes, and whether they are held out for the test."""
    train, test = source / "train", source / "test"
    # A class may be called train or test: only folders in both of them make a split.
    if train.is_dir() and test.is_dir() and _folders(train) and _folders(test):
        return {train: False, test: True}
    return {source: None}


def _side_problems(source: Path) -> list[str]:
    return [
        f"{folder}: lies beside train and test; move its images into one of them"
        for folder in _folders(source)
        if folder.name not in ("train", "test") and recognises(folder)
    ] + _stray_problems(source)


def _stray_problems(part: Path) -> list[str]:
    strays = _images(part)
    if not strays:
        return []
    if not _folders(part):
        return [
            f"{part}: holds images, but no folder of a class; name the folder above it, or sort "
            "its images into a folder for each class"
        ]
    return [
        f"{part}: holds {len(strays)} images outside the folders of classes, such as "
        f"{strays[0].name}; move or remove them"
    ]


def _class_problems(folder: Path, images: list[Path], source: Path) -> list[str]:
    if folder.name.encode(errors="replace").decode() != folder.name:
        return [f"{source}: holds a folder whose name is not UTF-8, {folder.name!r}; rename it"]
    deeper = [inner for inner in _folders(folder) if recognises(inner)]
    if deeper:
        return [
            f"{folder}: holds a folder of images, {deeper[0].name}; images of a class lie directly "
            f"in its folder, and classes in {source}, or in its folders train and test"
        ]
    if images:
        return []
    return [f"{folder}: holds no images ({' '.join(SUFFIXES)}); convert its files, or remove it"]


def _folders(folder: Path) -> list[Path]:
    return sorted(
        inner
        for inner in folder.iterdir()
        if inner.is_dir() and not inner.name.startswith((".", "__MACOSX"))
    )


def _images(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if _is_image(file))


def _is_image(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and not file.is_dir()
