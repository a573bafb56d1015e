"""Text in any encoding."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data.readers.encodings import choose_encoding, clean_text, decode_text, detect_encoding

TEXTS = {
    "French": "Ce film est une très belle œuvre, où chaque scène révèle la vérité d'un été à Nîmes. ",
    "Russian": "Этот фильм показался мне слишком длинным, но актёры играли прекрасно и искренне. ",
    "Chinese": "这家餐厅的菜味道很好，服务员也非常热情，下次还会再来的。送餐速度快，包装干净。",
    "Japanese": "この映画はとても面白かったです。俳優の演技が素晴らしく、もう一度見たいと思いました。",
    "Thai": "ภาพยนตร์เรื่องนี้สนุกมาก นักแสดงเล่นได้ดี",
    "Greek": "Η ταινία ήταν πολύ καλή και οι ηθοποιοί έπαιξαν υπέροχα. ",
    "Korean": "이 영화는 정말 재미있었습니다. 배우들의 연기가 훌륭해서 다시 보고 싶습니다. ",
}


@pytest.mark.parametrize(
    ("language", "encoding"),
    [
        ("French", "cp1252"),
        ("Russian", "cp1251"),
        ("Chinese", "gb18030"),
        ("Chinese", "utf-16-le"),
        ("Japanese", "shift_jis"),
        ("Japanese", "euc_jp"),
        ("Japanese", "iso2022_jp"),
        ("Korean", "cp949"),
        ("French", "utf-16-be"),
        ("Korean", "utf-8-sig"),
        ("Chinese", "utf-16"),
        ("French", "utf-32"),
        ("Thai", "cp874"),
        ("Greek", "cp1253"),
        ("Russian", "koi8_r"),
    ],
)
def test_an_encoding_is_detected(language: str, encoding: str) -> None:
    contents = [(TEXTS[language] * 3 + str(number)).encode(encoding) for number in range(5)]
    other = detect_encoding([b"plain", *contents])
    for number, content in enumerate(contents):
        text, _ = decode_text(content, choose_encoding(content, other))
        assert text == TEXTS[language] * 3 + str(number)


def test_a_short_text_is_judged_with_the_others() -> None:
    contents = [text.encode("cp1251") for text in TEXTS["Russian"].split()]
    other = detect_encoding(contents)
    assert [decode_text(each, other)[0] for each in contents] == TEXTS["Russian"].split()


def test_utf8_goes_first_where_encodings_are_mixed() -> None:
    contents = [TEXTS["French"].encode("cp1252") * 2, TEXTS["French"].encode()]
    other = detect_encoding(contents)
    texts = [decode_text(each, choose_encoding(each, other)) for each in contents]
    assert texts[1] == (TEXTS["French"], "utf-8")
    assert texts[0][0] == TEXTS["French"] * 2


def test_what_nobody_sees_is_taken_off() -> None:
    assert clean_text("\ufeffone\r\ntwo\rthree\x00four\x1b\tfive\ufeff") == "one\ntwo\nthree four \tfive "


def test_an_encoding_that_does_not_fit_says_so() -> None:
    with pytest.raises(UnicodeDecodeError):
        decode_text("é".encode("cp1252"), "utf-8")


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_have_an_encoding(content: bytes) -> None:
    encoding = choose_encoding(content, detect_encoding([content]))
    try:
        text, _ = decode_text(content, encoding)
    except UnicodeDecodeError:
        return
    assert "\x00" not in text


@settings(deadline=None)
@given(st.text(max_size=80))
def test_utf8_is_read_as_written(text: str) -> None:
    content = text.encode()
    assert decode_text(content, "utf-8")[0] == clean_text(text)


def test_every_kind_of_space_parts_words() -> None:
    text = "no\u00a0break thin\u2009space zero\u200bwidth wide\u3000space\u2028line\u0085end"
    parted = "no break thin space zero width wide space line end"
    assert clean_text(text) == parted
