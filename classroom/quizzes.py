"""The questions of all quizzes as a bank that learning platforms import: QTI 1.2 in a zip, one quiz per chapter.

Which answer is right was computed when the chapter was executed, so the bank is made of what the build has executed.
"""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from chapters import fold_cells
from jupyter_cache import get_cache

from cwn_lite.figures.quiz import METADATA, Choice, Question
from cwn_lite.figures.text import inline

from . import BOOK, ROOT
from .exercises import Notebook, source

CACHE = ROOT / "_build" / ".jupyter_cache"
QTI = "http://www.imsglobal.org/xsd/ims_qtiasiv1p2"
PACKAGE = "http://www.imsglobal.org/xsd/imscp_v1p1"
SAME_DATE = (2026, 1, 1, 0, 0, 0)  # the same questions are the same file
ANSWER = "response1"


def questions(executed: Notebook) -> list[Question]:
    """Return the questions that an executed notebook has displayed, in their order."""
    found = []
    for cell in executed["cells"]:
        for output in cell.get("outputs", []):
            for asked in output.get("metadata", {}).get(METADATA, []):
                found.append(Question(asked["prompt"], [Choice(**choice) for choice in asked["choices"]]))
    return found


def asked(book: Path = BOOK, cache: Path = CACHE) -> Iterator[tuple[str, str, list[Question]]]:
    """Yield name, title and questions of each page with a quiz, as the last build executed it.

    Raises:
        FileNotFoundError: the build has not executed a notebook as it is now.
    """
    known = get_cache(cache) if cache.is_dir() else None
    for path in sorted(book.glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf8"))
        title = source(notebook["cells"][0]).partition("\n")[0].removeprefix("# ")
        form = nbformat.reads(json.dumps(fold_cells(notebook)), as_version=4)
        try:
            if known is None:
                raise KeyError(path.name)
            executed = known.get_cache_bundle(known.match_cache_notebook(form).pk).nb
        except KeyError:
            raise FileNotFoundError(f"the build has not executed {path.name} as it is: run `make book` first") from None
        if found := questions(executed):
            yield path.stem, title, found


def quiz(name: str, title: str, found: list[Question]) -> ET.Element:
    """Return one quiz as QTI 1.2: each question worth a point, with its feedback on each choice."""
    root = ET.Element("questestinterop", xmlns=QTI)
    assessment = ET.SubElement(root, "assessment", ident=name, title=title)
    section = ET.SubElement(assessment, "section", ident="root_section")
    for number, question in enumerate(found, 1):
        _item(section, f"{name}-{number}", f"{title}: {number}", question)
    return root


def _item(section: ET.Element, ident: str, title: str, question: Question) -> None:
    item = ET.SubElement(section, "item", ident=ident, title=title)
    fields = ET.SubElement(ET.SubElement(item, "itemmetadata"), "qtimetadata")
    for label, entry in (("question_type", "multiple_choice_question"), ("points_possible", "1")):
        field = ET.SubElement(fields, "qtimetadatafield")
        ET.SubElement(field, "fieldlabel").text = label
        ET.SubElement(field, "fieldentry").text = entry
    shown = ET.SubElement(item, "presentation")
    _text(shown, question.prompt)
    choices = ET.SubElement(shown, "response_lid", ident=ANSWER, rcardinality="Single")
    choices = ET.SubElement(choices, "render_choice")
    rules = ET.SubElement(item, "resprocessing")
    outcomes = ET.SubElement(rules, "outcomes")
    ET.SubElement(outcomes, "decvar", maxvalue="100", minvalue="0", varname="SCORE", vartype="Decimal")
    for place, choice in enumerate(question.choices, 1):
        _text(ET.SubElement(choices, "response_label", ident=str(place)), choice.text)
        rule = _rule(rules, place, "Yes")
        ET.SubElement(rule, "displayfeedback", feedbacktype="Response", linkrefid=f"{place}_fb")
        feedback = ET.SubElement(item, "itemfeedback", ident=f"{place}_fb")
        _text(ET.SubElement(feedback, "flow_mat"), choice.feedback)
    right = next(place for place, choice in enumerate(question.choices, 1) if choice.holds)
    ET.SubElement(_rule(rules, right, "No"), "setvar", action="Set", varname="SCORE").text = "100"


def _rule(rules: ET.Element, place: int, goes_on: str) -> ET.Element:
    rule = ET.SubElement(rules, "respcondition", {"continue": goes_on})
    condition = ET.SubElement(rule, "conditionvar")
    ET.SubElement(condition, "varequal", respident=ANSWER).text = str(place)
    return rule


def _text(parent: ET.Element, text: str) -> None:
    material = ET.SubElement(parent, "material")
    ET.SubElement(material, "mattext", texttype="text/html").text = inline(text)


def _manifest(names: list[str]) -> ET.Element:
    root = ET.Element("manifest", identifier="quizzes", xmlns=PACKAGE)
    metadata = ET.SubElement(root, "metadata")
    ET.SubElement(metadata, "schema").text = "IMS Content"
    ET.SubElement(metadata, "schemaversion").text = "1.1.3"
    ET.SubElement(root, "organizations")
    resources = ET.SubElement(root, "resources")
    for name in names:
        resource = ET.SubElement(resources, "resource", identifier=name, type="imsqti_xmlv1p2")
        ET.SubElement(resource, "file", href=f"{name}/{name}.xml")
    return root


def bank(path: Path, quizzes: list[tuple[str, str, list[Question]]]) -> int:
    """Write quizzes into one zip; return how many questions there are."""
    files = {"imsmanifest.xml": _manifest([name for name, _, _ in quizzes])}
    files |= {f"{name}/{name}.xml": quiz(name, title, found) for name, title, found in quizzes}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for place, root in files.items():
            ET.indent(root)
            text: Any = ET.tostring(root, encoding="utf-8", xml_declaration=True)
            archive.writestr(zipfile.ZipInfo(place, SAME_DATE), text)
    return sum(len(found) for _, _, found in quizzes)
