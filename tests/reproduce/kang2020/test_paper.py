"""The paper's table, figure by figure where it is easy to slip."""

from segeval.reproduce.kang2020.paper import COLUMNS, MISPRINT, PRINTED, ROWS, TABLE, network_of, paper_cell


def test_the_table_is_whole() -> None:
    assert len(TABLE) == 4 * 2 * 8 and {len(row) for row in ROWS.values()} == {8} and len(set(COLUMNS)) == 8


def test_a_joint_attack_has_one_perturbation() -> None:
    for method in ("fgsm", "tanh"):
        row = ROWS["perturbation", method]
        assert row[2] == row[3] and row[6] == row[7]


def test_the_misprint_is_corrected_and_said() -> None:
    cell = paper_cell("tanh", "full", ("espnet-camvid",), "espnet-camvid")
    assert cell and cell.misprint and cell.accuracy == TABLE[MISPRINT] == 0.08 != PRINTED
    # What the other entries imply about the remaining pixels holds for it now.
    implied = {key[1:]: TABLE["accuracy", *key[1:]] / value for key, value in TABLE.items() if key[0] == "ratio"}
    assert 0.8 < implied["tanh", MISPRINT[2]] < 1


def test_figures_belong_to_the_papers_networks_alone() -> None:
    assert network_of("espnet-cityscapes") == "espnet" and network_of("fast-scnn-synthetic") == "fast-scnn"
    assert network_of("espnetv2-cityscapes") is None
    both = ("espnet-camvid", "fast-scnn-camvid")
    joint = paper_cell("fgsm", "local", both, "fast-scnn-camvid")
    assert joint and (joint.accuracy, joint.success, joint.perturbation, joint.same_victims) == (
        0.202,
        0.611,
        0.844,
        True,
    )
    other = paper_cell("fgsm", "local", ("espnet-camvid", "espnetv2-camvid"), "espnet-camvid")
    assert other and not other.same_victims
    assert paper_cell("fgsm", "local", ("fast-scnn-camvid",), "espnet-camvid") is None
    assert paper_cell("fgsm-as-tanh", "local", ("espnet-camvid",), "espnet-camvid") is None
