"""Whether texts are cut into words or letters."""

import pytest

from pipeline.data.text_split import choose_split
from pipeline.settings.preprocess import Form, TextSplit, Vocabulary


def told(split: TextSplit = TextSplit.auto) -> Vocabulary:
    return Vocabulary(Form.auto, split, 100, 2, 10)


@pytest.mark.parametrize(
    ("texts", "split"),
    [
        (["a lovely film, café"], TextSplit.words),
        (["очень хороший фильм"], TextSplit.words),
        (["이 영화는 정말 재미있었습니다"], TextSplit.words),
        (["great film 😀", "the end 😡"], TextSplit.words),
        (["很快，好吃，味道足，量大"], TextSplit.letters),
        (["この映画はとても面白かった"], TextSplit.letters),
        (["ภาพยนตร์เรื่องนี้สนุกมาก"], TextSplit.letters),
        (["ខ្ញុំស្រលាញ់ភាពយន្តនេះ"], TextSplit.letters),
        (["😀😀😡", "😡"], TextSplit.letters),
        (["iPhone 很好用，屏幕清晰，速度也快", "OK 吧，一般般"], TextSplit.letters),
        (["ACGTTGCAACGTTGCAACGTTGCAACGTTGCA"], TextSplit.letters),
        ([""], TextSplit.words),
    ],
)
def test_the_script_decides(texts: list[str], split: TextSplit) -> None:
    assert choose_split(told(), texts) is split


@pytest.mark.parametrize("split", [TextSplit.words, TextSplit.letters])
def test_a_setting_goes_first(split: TextSplit) -> None:
    assert choose_split(told(split), ["很快 one two"]) is split
