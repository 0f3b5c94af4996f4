"""Lines of JSON against the documents that they stand for."""

import orjson
import pytest

from screening.candidate_json import candidate_lines
from screening.candidate_settings import (
    CandidateSettings,
    ClusterSubstitution,
    Family,
)
from screening.candidates import CandidateBlock, candidate_blocks, iterate_candidates
from screening.documents import Candidate
from screening.survey import survey_candidates

HYDROXIDE = ClusterSubstitution(group={"Li": 2, "O": 1, "H": 1}, by="K", at="O")
SURVEYS = {
    "vacancies": Family(formula="KTaCl6", prototype="k2ptcl6"),
    "nothing to order": Family(formula="K3YCl6", prototype="elpasolite"),
    "two sublattices": Family(
        formula="K3Y(0.5)In(0.5)Cl5Br", prototype="elpasolite", max_orderings=30, when_more="sample"
    ),
    "shapes": Family(formula="KTaCl6", prototype="k2ptcl6", supercell={"max_cells": 3}),
    "hydrogen": Family(
        formula="Li2OHCl", prototype="li2ohcl-cubic", supercell=(2, 1, 1), max_orderings=1000
    ),
    "clusters": Family(
        formula="Li2OHCl",
        prototype="li2ohcl-cubic",
        supercell=(2, 2, 2),
        replace=HYDROXIDE,
        max_orderings=20,
        when_more="sample",
    ),
}


def blocks_of(*families, **others):
    survey = survey_candidates(CandidateSettings(families=families, **others))
    assert survey.cells, survey.left_out
    return list(candidate_blocks(survey))


@pytest.mark.parametrize("name", SURVEYS)
def test_a_line_is_the_document(name):
    blocks = blocks_of(SURVEYS[name])
    assert all(isinstance(block, CandidateBlock) for block in blocks)
    for block in blocks:
        lines = list(candidate_lines(block))
        assert len(lines) == len(block)
        for line, candidate in zip(lines, block, strict=True):
            assert orjson.loads(line) == candidate.model_dump(mode="json")
            assert line.endswith(b"\n")
            assert line.count(b"\n") == 1


def test_the_document_comes_back():
    (block,) = blocks_of(SURVEYS["vacancies"])
    for line, candidate in zip(candidate_lines(block), block, strict=True):
        again = Candidate.model_validate_json(line)
        assert again.structure == candidate.structure
        assert again.model_dump() == candidate.model_dump()


def test_counts_beyond_what_json_holds():
    family = Family(
        formula="KTaCl6",
        prototype="k2ptcl6",
        supercell=(3, 3, 1),
        max_orderings=3,
        when_more="sample",
    )
    (block,) = blocks_of(family)
    (counted,) = {b.surveyed.counted.n_configurations for b in [block]}
    assert counted > 2**60
    for line in candidate_lines(block):
        assert Candidate.model_validate_json(line).origin.n_configurations == counted


def test_candidates_of_several_hosts():
    blocks = blocks_of(
        Family(formula="K2NaYCl6", prototype="elpasolite", max_orderings=1000),
        Family(formula="K2NaYCl6", prototype="cryolite", max_orderings=1000),
    )
    (merged,) = blocks
    assert isinstance(merged, tuple)
    lines = list(candidate_lines(merged))
    assert [orjson.loads(line) for line in lines] == [c.model_dump(mode="json") for c in merged]


def test_part_of_a_block():
    (block,) = blocks_of(SURVEYS["vacancies"])
    lines = list(candidate_lines(block))
    for part in (slice(0, 2), slice(2, 5), slice(4, 100), slice(6, 8)):
        assert list(candidate_lines(block[part])) == lines[part]
    assert block[-1].id == "KTaCl6-k2ptcl6-6"
    with pytest.raises(IndexError):
        block[6]


def test_blocks_are_the_candidates():
    survey = survey_candidates(CandidateSettings(families=[SURVEYS["shapes"]]))
    made = [candidate.id for candidate in iterate_candidates(survey)]
    assert [c.id for block in candidate_blocks(survey) for c in block] == made
    assert len(set(made)) == len(made) > 10
