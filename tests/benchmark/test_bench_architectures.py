"""The tables of a transformer and of attention, on small ones."""

from backproof.benchmark import attention, transformer


def memory(table):
    return {row.name: row.program.temporary_bytes for row in table.rows}


def test_the_sweep_through_a_transformer_holds_no_more_than_autodiff():
    table = transformer(0.0, depth=2, width=16, heads=2, length=16, batch=2)
    assert table.title == "a gradient of a transformer of depth 2, width 16, length 16, batch 2"
    held = memory(table)
    assert held["by hand"] <= held["autodiff"]


def test_attention_in_blocks_holds_a_quarter_of_what_all_scores_take():
    table = attention(0.0, length=1024, heads=1, width=16, block=64)
    assert [row.name for row in table.rows] == ["autodiff", "by hand", "by hand, in blocks"]
    held = memory(table)
    assert held["by hand"] <= held["autodiff"]
    assert held["by hand, in blocks"] * 4 <= held["by hand"]
