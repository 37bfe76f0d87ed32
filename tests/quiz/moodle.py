"""Reads a quiz as Moodle would, strictly, and compares what its two forms say with each other and with the key.

    moodle.py QUIZ.xml QUIZ.gift QUIZ.json QUIZ.key

The forms are those of docs.moodle.org: "Moodle XML format" and "GIFT format".
"""
import html
import html.parser
import json
import re
import sys
import xml.etree.ElementTree as ElementTree

COMMON = ["name", "questiontext", "generalfeedback", "defaultgrade", "penalty", "hidden"]
SETTINGS = {
    "multichoice": {"single": "true", "shuffleanswers": "true", "answernumbering": "abc"},
    "numerical": {},
    "shortanswer": {"usecase": "0"},
}
# GIFT's special characters, and characters of no meaning that stand for them after a backslash.
SPECIAL = {character: chr(0xE000 + place) for place, character in enumerate("\\~=#{}:")}


class Html(html.parser.HTMLParser):
    """Elements that are closed in the order in which they were opened."""

    def __init__(self, text):
        super().__init__()
        self.open = []
        self.feed(text)
        self.close()
        assert not self.open, (self.open, text)

    def handle_starttag(self, tag, attributes):
        assert tag in ("p", "pre", "br") and not attributes, tag
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag


def text_of(element, name):
    """The text of the child `name`, which has a child `text` and nothing else."""
    children = element.findall(name)
    assert len(children) == 1 and [child.tag for child in children[0]] == ["text"], name
    return children[0][0].text or ""


def read_xml(path):
    root = ElementTree.parse(path).getroot()
    assert root.tag == "quiz"
    category, *questions = root
    assert category.attrib == {"type": "category"}
    assert text_of(category, "category").startswith("$course$/")
    return [xml_question(question) for question in questions]


def xml_question(question):
    kind = question.attrib["type"]
    settings = SETTINGS[kind]
    tags = [child.tag for child in question if child.tag != "answer"]
    assert tags == COMMON + list(settings), tags
    for name, value in settings.items():
        assert question.find(name).text == value, name
    assert question.find("defaultgrade").text == "1" and 0 <= float(question.find("penalty").text) <= 1
    for name in ("questiontext", "generalfeedback"):
        assert question.find(name).attrib == {"format": "html"}
        Html(text_of(question, name))
    answers = []
    for answer in question.findall("answer"):
        fraction = answer.attrib["fraction"]
        assert fraction in ("0", "100"), fraction
        expected = ["text", "tolerance", "feedback"] if kind == "numerical" else ["text", "feedback"]
        assert [child.tag for child in answer] == expected
        text = answer.find("text").text
        if kind == "numerical":
            assert answer.find("tolerance").text == "0" and float(text) == int(text), text
        if kind == "multichoice":
            assert answer.attrib["format"] == "html"
            Html(text)
        feedback = text_of(answer, "feedback")
        Html(feedback)
        answers.append((text, fraction == "100", feedback))
    return kind, text_of(question, "name"), text_of(question, "questiontext"), answers, text_of(question, "generalfeedback")


def read_gift(path):
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = re.sub(r"\\([\\~=#{}:])", lambda match: SPECIAL[match[1]], text)
    assert "\\" not in text, "a backslash before a character that needs none"
    blocks = [block for block in re.split(r"\n\s*\n", text.strip())]
    head, *questions = blocks
    comment, category = head.split("\n")
    assert comment.startswith("//") and category.startswith("$CATEGORY: $course$/")
    return [gift_question(question) for question in questions]


def plain(text):
    for character, stand_in in SPECIAL.items():
        text = text.replace(stand_in, character)
    return text


def gift_question(block):
    match = re.fullmatch(r"::([^:]+)::\[html\]([^{}]+)\{(#?)([^{}]*)\}", block)
    assert match, block
    name, stem, numerical, body = match.groups()
    body, general = body.split("####")
    answers = []
    for part in body.strip().split("\n\t"):
        answer = re.fullmatch(r"(=|~)(%0%)?([^#~=]*)(?:#([^#]*))?", part)
        assert answer, part
        mark, none, text, feedback = answer.groups()
        text = plain(text)
        if numerical:
            text, tolerance = text.split(":")
            assert tolerance == "0" and mark == "="
        answers.append((text, mark == "=" and not none, plain(feedback or "")))
    kind = "numerical" if numerical else "multichoice" if "\n\t~" in body else "shortanswer"
    return kind, plain(name), plain(stem), answers, plain(general.strip())


def main(xml, gift, quiz, key):
    questions = read_xml(xml)
    assert questions == read_gift(gift), "the two forms differ"
    with open(quiz, encoding="utf-8") as file:
        asked = json.load(file)["questions"]
    with open(key, encoding="utf-8") as file:
        lines = [line.split("#")[0].split(":") for line in file if line[:1].isdigit()]
    assert len(questions) == len(asked) == len(lines)
    for (kind, name, stem, answers, _), question, (number, right) in zip(questions, asked, lines):
        right = right.strip()
        assert name == f"{int(number):02} {question['kind']}", name
        assert html.escape(question["question"], quote=False) in stem.replace("&quot;", '"'), stem
        marked = [text for text, is_right, _ in answers if is_right]
        texts = [text for text, _, _ in answers]
        assert len(set(texts)) == len(texts), texts
        if kind == "multichoice":
            assert [html.unescape(text) for text in texts] == question["options"]
            assert [html.unescape(text) for text in marked] == [question["options"]["abcd".index(right)]]
        elif kind == "numerical":
            assert marked == [right], (marked, right)
        else:
            assert {text.replace(" ", "") for text in marked} == {right.replace(" ", "")}, (marked, right)
            # Moodle takes * for anything.
            assert not any("*" in text for text in texts)


if __name__ == "__main__":
    main(*sys.argv[1:])
