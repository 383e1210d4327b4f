"""The layers of settings: environment over secret files over `spendwatch.yaml`; and the origin of each value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from spendwatch.domain.errors import ConfigMistake
from spendwatch.yaml_text import MAX_MISTAKES, NOT_LISTED, Document, KeyPath, Place, Text, path_text

EMPTY = "is empty: give it a value, or leave the key out"
EMPTY_FILE = "is empty"


class Layers:
    """Documents that make one tree, the strongest first, and the mistakes found in them."""

    def __init__(self, documents: Sequence[Document]) -> None:
        """Keep the documents; their own mistakes, and values that are nothing at all, are noted at once."""
        self.documents = tuple(documents)
        self.mistakes: list[ConfigMistake] = [mistake for document in documents for mistake in document.mistakes]
        self._told = {(mistake.file, mistake.line, mistake.column) for mistake in self.mistakes}
        self._told_paths: set[KeyPath] = {path for document in documents for path in document.unreadable}
        for document in documents:
            if document.tree is not None:
                for path in list(_nothings(document.tree, ())):
                    self.tell(path, EMPTY)

    def trees(self) -> list[dict[str, Text]]:
        """Return the trees, the strongest first."""
        return [document.tree for document in self.documents if isinstance(document.tree, dict)]

    def look(self, path: KeyPath) -> Text:
        """Return what stands there in the strongest layer that says something."""
        return next((found for tree in self.trees() if (found := _at(tree, path)) is not None), None)

    def has(self, path: KeyPath) -> bool:
        """Tell whether any layer has that key or list item, even with nothing in it."""
        return any(path in document.keys for document in self.documents)

    def names(self, path: KeyPath) -> list[str]:
        """Return the keys that stand there in any layer."""
        found: dict[str, None] = {}
        for tree in reversed(self.trees()):
            if isinstance(part := _at(tree, path), dict):
                found.update(dict.fromkeys(part))
        return list(found)

    def texts(self, path: KeyPath) -> list[tuple[KeyPath, str]]:
        """Return the texts of the list that stands there, each with its path."""
        found = self.look(path)
        items = found if isinstance(found, list) else []
        return [((*path, number), item) for number, item in enumerate(items) if isinstance(item, str)]

    @property
    def is_full(self) -> bool:
        """Tell whether no further mistake is listed."""
        return len(self.mistakes) >= MAX_MISTAKES

    def place(self, path: KeyPath, *, of_key: bool = False) -> Place:
        """Return where the value stands, or its key; for what is missing, where the file begins with what it is missing in."""
        documents = self.documents
        while True:
            for document in documents:
                places = (document.keys, document.values) if of_key else (document.values, document.keys)
                if found := places[0].get(path) or places[1].get(path):
                    return found
            if not path:
                return Place(self.documents[-1].file)
            path, of_key, documents = path[:-1], True, self.documents[::-1]

    def tell(self, path: KeyPath, what: str, *, at_key: bool = False) -> None:
        """Note a mistake, unless something was said about this very place before."""
        place = self.place(path, of_key=at_key or self.look(path) is None)
        if self.is_full or path in self._told_paths or (place.file, place.line, place.column) in self._told:
            return
        self._told_paths.add(path)
        self.mistakes.append(place.mistake(path_text(path), what))
        if len(self.mistakes) == MAX_MISTAKES:
            self.mistakes.append(place.mistake("", NOT_LISTED))


def _at(tree: Text, path: KeyPath) -> Text:
    for part in path:
        if isinstance(tree, dict) and isinstance(part, str):
            tree = tree.get(part)
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            tree = tree[part]
        else:
            return None
    return tree


def _nothings(tree: Text, path: KeyPath) -> Iterator[KeyPath]:
    if tree is None:
        yield path
    elif isinstance(tree, dict):
        for key, value in tree.items():
            yield from _nothings(value, (*path, key))
    elif isinstance(tree, list):
        for number, value in enumerate(tree):
            yield from _nothings(value, (*path, number))
