"""How much a text looks like one of some language: by its letters, their case and their neighbours.

Encodings of one byte a letter all fit any bytes, so what decides is which of the texts people write. A text
is judged by the logarithm of a rough probability: of each letter outside ASCII from its place in the list of
its language, less what is odd (a capital within a word, two scripts in one).
"""

import math
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache

WESTERN = ("cp1252", "mac_roman", "cp850", "cp437", "iso8859_15")
CENTRAL = ("cp1250", "iso8859_2", "cp852", "mac_latin2")
CYRILLIC = ("cp1251", "koi8_r", "cp866", "iso8859_5", "mac_cyrillic")
UKRAINIAN = ("cp1251", "koi8_u", "iso8859_5", "mac_cyrillic")
BALTIC = ("cp1257", "iso8859_13", "iso8859_4")


@dataclass(frozen=True, slots=True)
class Language:
    """What is seen of a language: `letters` outside ASCII, the most frequent first, in small letters.

    `mixes`: its words have letters of ASCII, too; `decay`: the frequency of a letter by that of the one
    before it; `prior`: logarithm of how much rarer it is than others.
    """

    encodings: tuple[str, ...]
    letters: str
    mixes: bool = True
    decay: float = 0.75
    prior: float = 0.0


LANGUAGES = (
    Language(WESTERN, "éèàêçûœâîôùëï"),  # French
    Language(WESTERN, "üäöß", decay=0.7),  # German, Swedish and Finnish but for å
    Language(WESTERN, "äöåé", decay=0.7),
    Language(WESTERN, "óíáéñúü¿¡", decay=0.8),  # Spanish
    Language(WESTERN, "ãáçéóíêõúàâô", decay=0.85),  # Portuguese
    Language(WESTERN, "àèùòéì", decay=0.8),  # Italian
    Language(WESTERN, "åøæéö", decay=0.8, prior=-0.5),  # Danish, Norwegian
    Language(WESTERN, "ëéïèöü", decay=0.6, prior=-1),  # Dutch
    Language(WESTERN, "ðáíæþöóéúý", decay=0.9, prior=-2),  # Icelandic
    Language(CENTRAL, "łężąóśćńź", decay=0.85),  # Polish
    Language(CENTRAL, "íáéěřčšžýůúďťňó", decay=0.88),  # Czech
    Language(CENTRAL, "áíéčžšýúľťňôďäóĺŕ", decay=0.88, prior=-0.5),  # Slovak
    Language(CENTRAL, "éáöóőüíúű", decay=0.8),  # Hungarian
    Language(CENTRAL, "ăîşţâșț", decay=0.8, prior=-0.5),  # Romanian
    Language(CENTRAL, "čšžćđ", decay=0.8, prior=-0.5),  # Croatian, Slovene
    Language(("cp1254", "iso8859_9", "cp857"), "ıüşçöğâ", decay=0.85, prior=-0.2),  # Turkish
    Language(BALTIC, "ėšąųįžčūę", decay=0.85, prior=-1),  # Lithuanian
    Language(BALTIC, "āīšēņļūžķčģ", decay=0.85, prior=-1),  # Latvian
    Language(BALTIC, "äõöüšž", decay=0.7, prior=-1.5),  # Estonian
    Language(CYRILLIC, "оеаинтсрвлкмдпуяыьгзбчйхжшюцщэфёъ", False, 0.9),  # Russian
    Language(UKRAINIAN, "оаниіветрслкдумпзяьбгчйхцїюжєшщфґ", False, 0.9, -0.5),
    Language(CYRILLIC, "аиоентрсвлкдпмзгбуячъжщцйхшюфь", False, 0.9, -0.5),  # Bulgarian
    Language(("cp1251", "iso8859_5"), "аоиенрступвлкјдмзбгљцшњчжћђхфџ", False, 0.9, -1),  # Serbian
    Language(("cp1253", "iso8859_7", "cp737"), "αοιετσνηρπκλμυωςάίδγόθφέχήύώβξζψϊϋΐ", False, 0.9),
    Language(("cp1255", "cp862"), "יוהלאמרתבשנםדעקחפגזסטצןךףץ", False, 0.92),
    Language(("cp1256", "iso8859_6", "cp864"), "اليمنوترهبسعدفقكحجةشصطخأزىضذثغئءإظؤآ", False, 0.92),
    Language(("cp874",), "านรกอเง่มยล้วดทัตสคีปบิหะแใไ์ชื็โจพูำึขซุถผณ", False, 0.93),  # Thai
)
SIGNS = frozenset("«»„“”‘’‚…–—°€§£№©®·•™¿¡²³µ½¼¾±×\u00a0")
"""What stands in texts of many languages and is no letter of them."""
MONEYS = frozenset("€£°")
WORDS_OF_A_LETTER = frozenset("àéèóíúôâ")
LOST = "\ufffd"
"""What stands where bytes are none of an encoding."""
SIGN, MONEY, UNUSUAL, CAPITAL, CAPITAL_WITHIN = -5.0, -3.0, -7.5, -0.7, -3.5
OTHER_SCRIPT, DOUBLE, ALONE, OUT_OF_PLACE = -4.0, -1.5, -4.0, -4.0
LAST_LETTERS, NEVER_FIRST = frozenset("ךםןףץς"), frozenset("ъьы")
"""Of Hebrew and Greek at the end of a word alone, and of Russian at its beginning never."""
NEVER_LAST = frozenset("βγδζθκλμπστφχ")
"""With which hardly any Greek word ends."""
BEFORE_FIGURES = frozenset("£§")
BROKEN = -20.0
ALL_CAPITALS = 0.3
"""What a capital beside another one has back."""
SELDOM = {
    **dict.fromkeys(("mac_roman", "cp850", "iso8859_2", "iso8859_15"), -1.0),
    **dict.fromkeys(("cp437", "cp866", "cp852", "iso8859_5", "koi8_u", "cp1257"), -1.6),
    **dict.fromkeys(("mac_cyrillic", "mac_latin2", "cp857", "cp737", "iso8859_4", "iso8859_13"), -4.0),
    **dict.fromkeys(("koi8_r", "cp1255"), -0.4),
    **dict.fromkeys(("cp862", "cp864", "johab", "iso8859_6"), -5.0),
}
"""How much rarer than others (logarithm) an encoding is; a longer text outweighs it."""
HIGH = re.compile(r"[^\x00-\x7f]")

# ---- encodings of one byte a letter ---------------------------------------------------------------------


@cache
def _rank_letters(language: Language) -> dict[str, float]:
    """Return the logarithm of the probability of each letter of a language."""
    total = sum(language.decay**rank for rank in range(len(language.letters)))
    return {
        letter: rank * math.log(language.decay) - math.log(total)
        for rank, letter in enumerate(language.letters)
    }


def rate_text(text: str, encoding: str) -> float:
    """Return how probable it is that a text that was decoded so is one (logarithm; 0 at the most)."""
    if encoding in SCRIPTS:
        return _rate_asian(text, encoding)
    languages = [language for language in LANGUAGES if encoding in language.encodings]
    letters = Counter(HIGH.findall(text))
    spaced = f" {text} "
    pairs = Counter(spaced[match.start() - 1 : match.end() + 1] for match in HIGH.finditer(spaced))
    rated = max(_rate_language(letters, pairs, language) for language in languages)
    return rated + SELDOM.get(encoding, 0.0)


def _rate_language(letters: Counter[str], pairs: Counter[str], language: Language) -> float:
    ranks = _rank_letters(language)
    score = language.prior
    for letter, count in letters.items():
        small = letter.lower() if len(letter.lower()) == 1 else "i" if letter == "İ" else letter
        rated = ranks.get(small, ranks.get("ı", UNUSUAL) if letter == "İ" else None)
        if rated is not None:
            score += count * (rated + (CAPITAL if small != letter else 0))
        elif letter in SIGNS:
            score += count * (MONEY if letter in MONEYS else SIGN)
        else:
            score += count * (UNUSUAL if letter.isprintable() and letter != LOST else BROKEN)
    for pair, count in pairs.items():
        score += count * _rate_neighbours(pair, language)
    return score


def _rate_neighbours(pair: str, language: Language) -> float:
    """Return what is odd in a letter outside ASCII between its two neighbours."""
    before, letter, after = pair[0], pair[1], pair[2]
    score = _rate_place(before, letter, after, language)
    if letter.isalpha() and letter.isupper() and before.isalpha() and before.islower():
        score += CAPITAL_WITHIN
    if letter.isupper() and (before.isupper() or after.isupper()):
        score += ALL_CAPITALS
    if not letter.isalpha() and before.isalpha() and after.isalpha() and letter not in "’·":
        score += CAPITAL_WITHIN  # a sign within a word
    if letter.isalpha() and language.mixes and not before.isalpha() and not after.isalpha():
        score += 0.0 if letter.lower() in WORDS_OF_A_LETTER else ALONE
    for neighbour in (before, after):
        if not neighbour.isalpha() or not letter.isalpha():
            continue
        if neighbour.isascii() and not language.mixes:
            score += OTHER_SCRIPT
        elif not neighbour.isascii() and language.mixes:
            score += DOUBLE
    return score


def _rate_place(before: str, letter: str, after: str, language: Language) -> float:
    """Return what is odd in a letter or sign at this place of a word."""
    if letter in BEFORE_FIGURES or (letter in "¿¡" and not language.mixes):
        return OUT_OF_PLACE if after.isalpha() else 0.0
    if (letter in LAST_LETTERS and after.isalpha()) or (letter in NEVER_FIRST and not before.isalpha()):
        return OUT_OF_PLACE
    return DOUBLE if letter in NEVER_LAST and not after.isalpha() else 0.0


# ---- encodings of two bytes a letter --------------------------------------------------------------------

SIMPLE = (
    "的一是不了在人有我他这中大来上个国和也子时道说出而要于就下得可你年生会那后能对着事其里所去行过家十用发天如然作方成者"
    "多日都三小军二无同么经法当起与好看学进种将还分此心前面又定见只主没公从好很吃味菜店服务差送快喜欢非常"
)
TRADITIONAL = (
    "的一是不了在人有我他這中大來上個國和也子時道說出而要於就下得可你年生會那後能對著事其裡所去行過家十用發天如然作方成者"
    "多日都三小軍二無同麼經法當起與好看學進種將還分此心前面又定見只主沒公從很吃味菜店服務差送快喜歡非常"
)
JAPANESE = TRADITIONAL + "日本語見思行食時間何気私言今映画面白京東"
HANGUL = (
    "이다는에의을가고하지은를도한로기사아리어해자나대서그시인정들보수니있게스전일라구부제만거주으조장원했영안러과여면우"
    "요습것무음말없오선상내성되네와진너화좋마최재미"
)
MARKS = frozenset("。、「」『』“”‘’…—《》【】・￥￡\u3000") | frozenset(map(chr, range(0xFF01, 0xFF5F)))
FREQUENT, KANA, ORDINARY, RARE = -5.0, -4.3, -8.0, -14.0


@dataclass(frozen=True, slots=True)
class Script:
    """An encoding of East Asia: `common` letters, first bytes of those that its `standard` calls common."""

    common: frozenset[str]
    standard: str
    first: tuple[int, int]
    has_kana: bool = False


SCRIPTS = {
    "gb18030": Script(frozenset(SIMPLE), "gb2312", (0xB0, 0xD7)),
    "big5": Script(frozenset(TRADITIONAL), "big5", (0xA4, 0xC6)),
    "cp932": Script(frozenset(JAPANESE), "euc_jp", (0xB0, 0xCF), True),
    "euc_jp": Script(frozenset(JAPANESE), "euc_jp", (0xB0, 0xCF), True),
    "cp949": Script(frozenset(HANGUL), "euc_kr", (0xB0, 0xC8)),
    "johab": Script(frozenset(HANGUL), "euc_kr", (0xB0, 0xC8)),
}


def _rate_asian(text: str, encoding: str) -> float:
    script = SCRIPTS[encoding]
    letters = Counter(HIGH.findall(text))
    return (
        SELDOM.get(encoding, 0.0)
        - 0.5
        + sum(count * _rate_letter(letter, script) for letter, count in letters.items())
    )


def _rate_letter(letter: str, script: Script) -> float:
    if letter == LOST:
        return BROKEN
    if letter in script.common or letter in MARKS:
        return FREQUENT
    if "\u3041" <= letter <= "\u30fc":
        return KANA if script.has_kana else ORDINARY - 2
    if "\uff61" <= letter <= "\uff9f":
        return UNUSUAL  # of half a width, a byte each: what other encodings look like in Shift-JIS
    try:
        code = letter.encode(script.standard)
    except UnicodeEncodeError:
        return RARE
    return ORDINARY if len(code) == 2 and script.first[0] <= code[0] <= script.first[1] else RARE


ENCODINGS = tuple(
    dict.fromkeys([*(encoding for language in LANGUAGES for encoding in language.encodings), *SCRIPTS])
)
"""All that are tried; of two in which a text looks alike, the first is taken."""
