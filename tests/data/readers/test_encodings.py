"""Text in any encoding."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.data.readers.encodings import (
    choose_encoding,
    clean_text,
    decode_text,
    detect_encoding,
    detect_with_doubt,
)

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
        ("Russian", "utf-32-le"),
        ("Chinese", "utf-32-be"),
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


SHORT = {
    "Russian": ["хороший фильм", "плохо", "очень понравилось", "скучно и долго", "Москва"],
    "Ukrainian": ["дуже гарний фільм", "погано", "Київ", "їжа смачна"],
    "French": ["très bon", "déçu", "À bientôt", "garçon", "élève"],
    "German": ["schön", "grün und weiß", "Übung", "Äpfel", "Fußball"],
    "Spanish": ["¿Qué tal?", "niño", "corazón", "mañana"],
    "Portuguese": ["não recomendo", "coração", "péssimo"],
    "Polish": ["świetny film", "słaba obsługa", "żółty", "Łódź"],
    "Czech": ["příliš žluťoučký kůň", "špatný film", "město"],
    "Hungarian": ["nagyon jó volt", "kitűnő", "rossz idő"],
    "Turkish": ["çok güzel bir film", "kötü", "İstanbul", "ığdır"],
    "Greek": ["πολύ καλή ταινία", "κακό", "Αθήνα"],
    "Hebrew": ["סרט מצוין", "שלום", "לא טוב"],
    "Arabic": ["فيلم رائع", "سيء", "مرحبا بكم"],
    "Thai": ["สนุกมาก", "ไม่ดี"],
    "Chinese": ["味道很好", "不好吃", "服务差"],
    "Japanese": ["とても面白い", "つまらない映画"],
    "Korean": ["정말 재미있었습니다", "별로예요"],
    "Lithuanian": ["labai geras filmas, ačiū", "žmonės", "šįvakar"],
}


@pytest.mark.parametrize(
    ("language", "encodings"),
    [
        ("Russian", "cp1251 koi8_r cp866 iso8859_5"),
        ("Ukrainian", "cp1251 koi8_u"),
        ("French", "cp1252 mac_roman"),
        ("German", "cp1252"),
        ("Spanish", "cp1252 mac_roman"),
        ("Portuguese", "cp1252 cp850"),
        ("Polish", "cp1250 iso8859_2"),
        ("Czech", "cp1250 iso8859_2"),
        ("Hungarian", "cp1250 iso8859_2"),
        ("Turkish", "cp1254"),
        ("Greek", "cp1253 iso8859_7"),
        ("Hebrew", "cp1255"),
        ("Arabic", "cp1256"),
        ("Thai", "cp874"),
        ("Chinese", "gb18030 big5"),
        ("Japanese", "cp932 euc_jp"),
        ("Korean", "cp949"),
        ("Lithuanian", "cp1257"),
    ],
)
def test_a_few_short_texts_tell_their_encoding(language: str, encodings: str) -> None:
    for encoding in encodings.split():
        texts = [text.replace("务", "務") if encoding == "big5" else text for text in SHORT[language]]
        contents = [text.encode(encoding) for text in texts]
        other = detect_encoding(contents)
        assert [decode_text(each, choose_encoding(each, other))[0] for each in contents] == texts, encoding


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Москва;1000\nКазань;2000\nТверь;3000\n" * 40, "cp1251"),
        ("12 août 2000\n" * 40, "cp1252"),
        ("0,99 €\n" * 40, "cp1252"),
        ("21 °C\n" * 40, "cp1252"),
        ("￥1000\n" * 40, "cp932"),
    ],
)
def test_a_word_that_repeats_tells_no_more_than_once(text: str, encoding: str) -> None:
    assert text.encode(encoding).decode(detect_encoding([text.encode(encoding)])) == text


@pytest.mark.parametrize(
    ("word", "encoding"),
    [
        ("хороший", "cp1251"),  # in Hebrew letters it would begin with one that only ends words
        ("дуже", "cp1251"),
        ("їжа", "koi8_u"),
        ("фильм", "cp1251"),  # a Greek word would end in mu
        ("Łódź", "iso8859_2"),  # else a pound sign within a word
    ],
)
def test_a_letter_out_of_its_place_tells_the_encoding_of_one_word(word: str, encoding: str) -> None:
    content = word.encode(encoding)
    assert content.decode(detect_encoding([content])) == word


def test_doubt_in_an_encoding_names_the_other_with_a_word() -> None:
    _, doubt = detect_with_doubt(["טוב".encode("cp1255")])
    assert doubt == "cp1251 as in 'иеб', or cp1253 as in 'θεα'"
    assert detect_with_doubt([TEXTS["Russian"].encode("koi8_r")]) == ("koi8_r", "")
    assert detect_with_doubt([b"plain"]) == ("utf-8", "")


@pytest.mark.parametrize("text", ["плохо", "хорошо 12", "καλό", "שלום"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf16_without_a_mark_is_found_in_other_scripts_too(text: str, encoding: str) -> None:
    content = text.encode(encoding)
    assert choose_encoding(content, detect_encoding([content])) == encoding


def test_a_longer_text_in_another_encoding_than_the_others_is_in_its_own() -> None:
    russian, french = TEXTS["Russian"], TEXTS["French"] * 2
    contents = [russian.encode("koi8_r")] * 3 + [russian.encode("cp1251"), french.encode("cp1252")]
    other = detect_encoding(contents)
    texts = [decode_text(each, choose_encoding(each, other))[0] for each in contents]
    assert texts == [russian] * 4 + [french]


def test_utf8_goes_first_where_encodings_are_mixed() -> None:
    contents = [TEXTS["French"].encode("cp1252") * 2, TEXTS["French"].encode()]
    other = detect_encoding(contents)
    texts = [decode_text(each, choose_encoding(each, other)) for each in contents]
    assert texts[1] == (TEXTS["French"], "utf-8")
    assert texts[0][0] == TEXTS["French"] * 2


def test_what_nobody_sees_is_taken_off() -> None:
    assert clean_text("\ufeffone\r\ntwo\rthree\x00four\x1b\tfive\ufeff") == "one\ntwo\nthree four \tfive "


def test_what_is_no_text_says_so() -> None:
    with pytest.raises(UnicodeDecodeError, match="no text, by its control characters"):
        decode_text(bytes(range(256)) * 3, "mac_cyrillic")


def test_an_encoding_that_does_not_fit_says_so() -> None:
    with pytest.raises(UnicodeDecodeError):
        decode_text("é".encode("cp1252"), "utf-8")


@given(st.binary(max_size=300))
def test_any_bytes_have_an_encoding(content: bytes) -> None:
    encoding = choose_encoding(content, detect_encoding([content]))
    try:
        text, _ = decode_text(content, encoding)
    except UnicodeDecodeError:
        return
    assert "\x00" not in text


@given(st.text(max_size=80))
def test_utf8_is_read_as_written(text: str) -> None:
    content = text.encode()
    assert decode_text(content, "utf-8")[0] == clean_text(text)


def test_every_kind_of_space_parts_words() -> None:
    text = "no\u00a0break thin\u2009space zero\u200bwidth wide\u3000space\u2028line\u0085end"
    parted = "no break thin space zero width wide space line end"
    assert clean_text(text) == parted
