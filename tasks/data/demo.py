"""Generates the demo corpus from templates and lists of names, so that the first run needs no data and no network.

It has tags of the four CoNLL types, and `-DOCSTART-` between documents. The held-out splits mix names of the train
split with names, and parts of names, that do not occur there. Context and form determine most types; some sentences
are deliberately ambiguous (a city's name may mean its football club, a surname a firm), so that no model scores 1.
"""

import errno
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

from nerbench.artifacts.errors import InputError
from nerbench.tasks.config import Config, Split
from nerbench.tasks.config.loading import DEMO_FOLDER, DEMO_SENTENCES, is_demo_file

SENTENCES_PER_DOCUMENT = 10
UNSEEN_SHARE = 0.5
"""How often a held-out split uses a name part that does not occur in the train split."""

_STEMS = """
Alder Amber Ash Birch Black Brook Cedar Clay Copper Crane Crow Dale Drift Eagle Elder Elm Falcon Fern Flint
Fox Frost Glen Gold Granite Green Hart Haven Hazel Heron Holly Iron Juniper Kings Lark Laurel Linden Maple
Marsh Mill Moor North Oak Otter Pine Quarry Raven Red Ridge River Rock Rowan Sand Silver Stone Swan Thorn Vale
Wester White Willow
""".split()
_FIRST = """
Alice Adam Amira Andre Anna Anton Boris Bruno Carla Carlos Cecil Clara Clement Daniel Diana Dmitri Doris Edgar
Elena Emil Erik Ethel Fatima Felix Fiona Gerald Gina Grace Hana Harold Helena Hugo Igor Ines Irene Ivan Jana
Jasper Jordan Julia Karim Katrin Kenji Lars Laura Leila Leon Liam Lorna Lucia Marco Maria Martin Mei Milan
Mina Nadia Nestor Nils Nora Olga Omar Oscar Paula Pavel Petra Philip Pierre Quentin Ramona Robert Rosa Ruben
Sara Silas Simon Sofia Stefan Stella Tariq Tessa Thora Tomas Ursula Vera Victor Viola Walter Wanda Xavier Yara
Yusuf Yuki Zelda Zoe
""".split()
_FAMILIES = """
Abr Ald Ander Bak Bern Brand Cal Carl Dan Dor Dub Eck Eger Fisch Forst Garn Gom Grab Hal Hans Hoff Horv Ishi
Ivan Jak Jans Kell Kim Kov Land Lehm Lop Mark Mart Mend Mor Nak Nils Nov Olm Os Palm Petr Quar Ram Riv Ros San
Schm Sor Tak Tan Tor Ulr Varg Vog Wal Web Wins Yam Zell
""".split()
_COUNTRIES = """
Albania Argentina Australia Austria Belgium Bolivia Brazil Bulgaria Canada Chile Colombia Croatia Cuba Denmark
Ecuador Egypt Estonia Finland France Georgia Germany Ghana Greece Hungary Iceland India Indonesia Ireland
Italy Jamaica Japan Jordan Kenya Latvia Lithuania Malaysia Mexico Mongolia Morocco Nigeria Norway Peru Poland
Portugal Romania Russia Serbia Slovakia Slovenia Spain Sweden Tanzania Tunisia Turkey Uganda Ukraine Uruguay
Zambia
""".split()
_NATIONS = """
Albanian Argentinian Australian Austrian Belgian Bolivian Brazilian British Bulgarian Canadian Chilean Chinese
Colombian Croatian Cuban Danish Dutch Ecuadorian Egyptian Estonian Finnish French Georgian German Ghanaian
Greek Hungarian Indian Indonesian Irish Italian Jamaican Japanese Jordanian Kenyan Latvian Lithuanian
Malaysian Mexican Mongolian Moroccan Nigerian Norwegian Peruvian Polish Portuguese Romanian Russian Serbian
Slovakian Slovenian Spanish Swedish Swiss Tunisian Turkish Ugandan Ukrainian
""".split()

_NAMES: dict[str, tuple[list[str], list[str]]] = {
    "first": (_FIRST, [""]),
    "last": (_FAMILIES, "son er ez ov ski sen ini ura ic ard otti ano".split()),
    "stem": (_STEMS, [""]),
    "city": (_STEMS, "ville burg ton ford field haven stad mouth".split()),
    "CITY": ([stem.upper() for stem in _STEMS], "VILLE BURG TON FORD FIELD HAVEN STAD MOUTH".split()),
    "country": (_COUNTRIES, [""]),
    "nation": (_NATIONS, [""]),
}
"""A name is a beginning and an ending; every fourth beginning is reserved for the held-out splits."""
_WORDS: dict[str, list[str]] = {
    "initial": [f"{letter}." for letter in "ABCDEFGHJKLMNPRSTW"],
    "firm": "Inc Corp Ltd Group Holdings Industries Motors Airlines Bank Partners Systems Foods".split(),
    "club": "United City Rovers Athletic Wanderers".split(),
    "office": "Finance Defence Health Transport Justice Education".split(),
    "compass": "Northern Southern Eastern Western".split(),
    "sport": "Cup Open Masters Classic".split(),
    "day": "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split(),
    "month": "January February March April May June July August September October November December".split(),
    "number": [str(n) for n in range(2, 99)],
    "goals": [str(n) for n in range(6)],
    "year": [str(n) for n in range(1981, 2025)],
    "date": [f"{year}-{month:02}-{day}" for year in (1996, 2004, 2019) for month in range(1, 13) for day in (11, 28)],
    "goods": "steel wheat coffee cars ships paper timber copper phones medicines".split(),
    "change": "rose fell slipped climbed jumped dropped".split(),
    "job": "minister lawyer striker engineer goalkeeper banker teacher president coach spokesman".split(),
    "group": "officials workers farmers police residents diplomats tourists voters".split(),
}
"""Words without a type, and parts of names that all splits share."""

_KINDS: dict[str, tuple[str, list[str]]] = {
    "person": ("PER", ["first last", "first last", "first last", "first initial last", "last"]),
    "surname": ("PER", ["last"]),
    "place": ("LOC", ["city", "city", "country", "country", "compass country", "Lake stem", "stem Valley"]),
    "city": ("LOC", ["city"]),
    "dateline": ("LOC", ["CITY"]),
    "country": ("LOC", ["country"]),
    "company": ("ORG", ["last firm", "stem firm", "stem firm", "last & last", "city firm", "last", "stem"]),
    "body": ("ORG", ["University of city", "Ministry of office", "city Council", "Bank of country", "city Police"]),
    "team": ("ORG", ["city", "city", "city club", "city club", "country"]),
    "nation": ("MISC", ["nation"]),
    "event": ("MISC", ["city sport", "nation sport", "nation Grand Prix", "stem sport", "World sport"]),
}
"""The type and the forms of each entity slot. Lower-case words name lists to choose from; others are literal."""

_TEMPLATES = """
{dateline} , {month} {number}
{dateline} {date}
{person} , a {job} from {place} , was born in {year} .
{person} , {number} , moved to {place} last {month} .
{person} told reporters in {city} that the talks had failed .
{surname} said on {day} that he would not resign .
{company} said on {day} that profits {change} by {number} percent .
{country} said on {day} that it would cut exports of {goods} .
{body} said on {day} that {number} people had been hurt .
" We are not afraid , " {surname} said .
" We are not afraid , " a spokesman for {company} said .
Shares of {company} {change} {number} percent on {day} .
{company} shares {change} after the report .
{company} will open a new plant in {place} next {month} .
{company} agreed to buy {company} for {number} million dollars .
{company} named {person} as its new chief executive .
Chief executive {person} left {company} in {month} .
Analysts at {company} expect the price of {goods} to fall .
{nation} {group} met in {city} on {day} .
The {nation} government rejected the plan on {day} .
One {nation} {job} was arrested in {place} .
The {nation} {job} {person} won the {event} in {year} .
{person} won the {event} on {day} .
{person} of {country} finished second at the {event} .
{person} ( {country} ) beat {person} ( {country} ) 6 - {goals} 6 - {goals}
{team} beat {team} {goals} - {goals} on {day} .
{team} {goals} {team} {goals}
{team} lost to {team} in the final of the {event} .
{team} signed the {nation} {job} {person} from {team} .
{surname} scored twice as {team} beat {team} .
{surname} beat {surname} in the final .
{number} {group} from {place} were killed near {city} .
Heavy rain fell across {place} on {day} .
The road from {city} to {city} was closed for {number} days .
{group} in {place} said the price of {goods} {change} .
{country} exported {number} tonnes of {goods} to {country} in {year} .
The president of {country} , {person} , will visit {place} in {month} .
President {surname} arrived in {country} on {day} .
Mr {surname} and Mrs {surname} live in {city} .
{person} studied law at {body} .
Researchers at {body} tested {number} medicines .
{body} opened an inquiry into {company} .
A spokesman for {body} denied the report .
{person} joined {body} as a {job} in {year} .
Many {nation} tourists travel to {place} every {month} .
The novel was translated from {nation} into {nation} .
The price of {goods} {change} for the third week .
Nobody was hurt , {group} said on {day} .
He said the {month} figures were better than expected .
May was the driest month since {year} .
On {day} , {surname} travelled to {place} .
On {day} , {company} closed its offices in {place} .
In {city} , {number} {group} waited for {person} .
In {month} , {team} sold {person} to {team} .
{surname} left {city} for {country} .
{surname} left {company} for {company} .
{surname} left {team} for {team} .
{city} is {number} miles from {city} .
{person} met {person} at the {event} .
Critics of {surname} were silent .
Critics of {company} were silent .
Critics of {country} were silent .
"""


class Token(NamedTuple):
    """A word with its IOB2 tag."""

    word: str
    tag: str


def write_demo_corpus(folder: Path, splits: Iterable[Split] = tuple(DEMO_SENTENCES)) -> None:
    """Write `<split>.txt` for each of `splits` into `folder`; a file with the same content is not written again."""
    texts = _corpus()
    folder.mkdir(parents=True, exist_ok=True)
    for split in splits:
        file = folder / f"{split}.txt"
        if not file.is_file() or file.read_bytes() != texts[split]:
            file.write_bytes(texts[split])


def prepare_demo(config: Config) -> None:
    """Write the missing demo files that `config` names; existing files are kept, since the user may edit them.

    Raises InputError in a folder that cannot be written to.
    """
    named = {Path(file) for dataset in config.datasets for file in dataset.files.values() if is_demo_file(file)}
    if missing := [split for split in DEMO_SENTENCES if any(f.stem == split and not f.exists() for f in named)]:
        try:
            write_demo_corpus(DEMO_FOLDER.absolute(), missing)
        except OSError as error:
            if error.errno not in {errno.EACCES, errno.EROFS}:
                raise
            problem = f"cannot be written ({error.strerror})"
            raise InputError(
                str(error.filename), problem, "start nerbench in a folder that you may write to"
            ) from error


def _corpus() -> dict[Split, bytes]:
    seen: set[tuple[str, ...]] = set()
    return {split: _text(split, count, seen) for split, count in DEMO_SENTENCES.items()}


def _text(split: Split, count: int, seen: set[tuple[str, ...]]) -> bytes:
    lines = []
    for number, sentence in enumerate(_sentences(split, count, seen)):
        if number % SENTENCES_PER_DOCUMENT == 0:
            lines.append("-DOCSTART- O\n")
        lines.append("".join(f"{word} {tag}\n" for word, tag in sentence))
    return "\n".join([*lines, ""]).encode()


def _sentences(split: Split, count: int, seen: set[tuple[str, ...]]) -> Iterator[tuple[Token, ...]]:
    """`count` sentences whose words are not in `seen`, which grows."""
    rng = Random(split)
    templates = _TEMPLATES.strip().splitlines()
    while count:
        sentence = tuple(_fill(_draw(rng, templates), rng, split))
        if (words := tuple(token.word for token in sentence)) not in seen:
            seen.add(words)
            count -= 1
            yield sentence


def _fill(template: str, rng: Random, split: Split) -> Iterator[Token]:
    for part in template.split():
        slot = part.strip("{}")
        if slot == part:
            yield Token(part, "O")
        elif slot in _WORDS:
            yield Token(_draw(rng, _WORDS[slot]), "O")
        else:
            kind, shapes = _KINDS[slot]
            words = [_word(word, rng, split) for word in _draw(rng, shapes).split()]
            yield from (Token(word, f"{'I' if position else 'B'}-{kind}") for position, word in enumerate(words))


def _word(part: str, rng: Random, split: Split) -> str:
    if part not in _NAMES:
        return _draw(rng, _WORDS[part]) if part in _WORDS else part
    beginnings, endings = _NAMES[part]
    unseen = split != "train" and rng.random() < UNSEEN_SHARE
    return _draw(rng, [b for i, b in enumerate(beginnings) if (i % 4 == 3) == unseen]) + _draw(rng, endings)


def _draw(rng: Random, items: list[str]) -> str:
    # `random()` is the one method whose sequence Python promises to keep; `choice` is not.
    return items[int(rng.random() * len(items))]
