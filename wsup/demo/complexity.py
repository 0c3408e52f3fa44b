"""How long, how well commented and how complex a source file is.

The complexity is that of Thomas J. McCabe, "A Complexity Measure", IEEE Transactions on Software
Engineering SE-2 (1976) 4, pp. 308-320: the number of linearly independent ways through a function,
which is the number of its decisions plus one. As there, each part of a compound condition is a
decision of its own. Counted as decisions are

    if, elif, x if y else z                     for, while, each `for` and `if` of a comprehension
    and, or: each operator                      except: each clause
    case: each one but a last `case _`, and its guard

and nothing else: not `else` and `finally`, which add no way; nor `with` and `assert`, whose other
way leads out of the function. A function inside of another counts for itself, a lambda counts for
the function around it, and code outside of functions doesn't count.
"""

import ast
import io
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

#: So many functions of each file are kept, that the most complex ones of all can be told exactly.
KEPT: Final = 10


@dataclass(slots=True)
class Function:
    """A function or method, by its qualified name."""

    name: str
    line: int
    complexity: int = 1


@dataclass(slots=True)
class Figures:
    """What there is to say of one source file."""

    lines: int
    #: Lines that have a comment on them; a docstring is none.
    comments: int
    classes: int
    functions: int
    #: The most complex ones first.
    hardest: list[Function]


def measured(source: bytes, name: str) -> Figures:
    """The figures of the file `name`. Raises SyntaxError or its like for what is no Python."""
    tree = ast.parse(source, name)
    visitor = Visitor()
    visitor.visit(tree)
    hardest = sorted(visitor.functions, key=lambda each: (-each.complexity, each.line))[:KEPT]
    return Figures(
        lines=source.count(b"\n") + (not source.endswith(b"\n") and source != b""),
        comments=sum(1 for _ in _comments(source)),
        classes=visitor.classes,
        functions=len(visitor.functions),
        hardest=hardest,
    )


def _comments(source: bytes) -> Iterator[tokenize.TokenInfo]:
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token


def _cases(case: ast.match_case) -> int:
    pattern = case.pattern
    takes_all = isinstance(pattern, ast.MatchAs) and pattern.pattern is None
    return (not takes_all) + (case.guard is not None)


#: How many decisions a node of each type is.
DECISIONS: Final[dict[type[ast.AST], Callable[[Any], int]]] = {
    ast.If: lambda _: 1,
    ast.IfExp: lambda _: 1,
    ast.For: lambda _: 1,
    ast.AsyncFor: lambda _: 1,
    ast.While: lambda _: 1,
    ast.ExceptHandler: lambda _: 1,
    ast.BoolOp: lambda node: len(node.values) - 1,
    ast.comprehension: lambda node: 1 + len(node.ifs),
    ast.match_case: _cases,
}
#: Most nodes are of these types, and no decision is below them.
LEAVES: Final = frozenset({ast.Name, ast.Constant, ast.Load, ast.Store, ast.alias, ast.Pass})


class Visitor:
    """Collects the functions of a tree, with their complexity.

    It keeps a stack of its own: an expression may be nested too deeply for Python's.
    """

    def __init__(self) -> None:
        self.functions: list[Function] = []
        self.classes = 0

    def visit(self, tree: ast.AST) -> None:
        """Visit every node, each with the names around it and the function that it counts for."""
        stack: list[tuple[ast.AST, str, Function | None]] = [(tree, "", None)]
        while stack:
            node, scope, function = stack.pop()
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                function = Function(scope + node.name, node.lineno)
                self.functions.append(function)
                scope = f"{function.name}."
            elif isinstance(node, ast.ClassDef):
                self.classes += 1
                scope += f"{node.name}."
            elif function and (decisions := DECISIONS.get(type(node))):
                function.complexity += decisions(node)
            for child in _children(node):
                stack.append((child, scope, function))  # noqa: PERF401  (shorter so)


def _children(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if type(child) not in LEAVES:
            yield child
