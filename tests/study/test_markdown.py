"""Whatever a text holds, a reader of Markdown sees it as it is."""

import pytest
from markdown_it import MarkdownIt

from study.markdown import plain, table

TEXTS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "![picture](http://elsewhere/track.png)",
    "[click](javascript:alert(1))",
    "**bold** _thin_ `code` ~~gone~~",
    "# heading",
    "a | b",
    "&lt;b&gt; &amp; &copy;",
    r"C:\folder\*",
    "loss became NaN at epoch 3",
    "mlp+soft_max+library-CircleLoss",
    "кириллица",
]


def rendered(text):
    return MarkdownIt("commonmark", {"html": True}).enable("table").render(text)


@pytest.mark.parametrize("text", TEXTS)
def test_no_character_of_a_text_is_markup(text):
    expected = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert rendered(plain(text)) == f"<p>{expected}</p>\n"


def test_a_text_of_several_lines_becomes_one():
    assert plain("first\n\n# second\n    third") == r"first \# second third"


def test_a_name_with_a_bar_stays_in_its_cell():
    html = rendered(table(("name", "value"), [(plain("a|b"), "1")]))
    assert html.count("<td") == 2
    assert "<td>a|b</td>" in html
