"""The rules that split a text into words with positions."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from nerbench.tasks.data.words import joined, split_blanks, split_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Anna met Bob.", "Anna met Bob ."),
        ('(Reuters) "Yes," she said…', '( Reuters ) " Yes , " she said …'),
        ("The U.N. and J. Smith of Acme Inc.", "The U.N. and J. Smith of Acme Inc ."),
        ("Germany's Müller’s it's 'twas", "Germany 's Müller ’s it 's ' twas"),
        ("AT&T Anglo-Dutch 10,000 5.3 O'Brien U.S.-based.", "AT&T Anglo-Dutch 10,000 5.3 O'Brien U.S.-based ."),
        ("-5 +3.2 #tag @name 5% $10", "-5 +3.2 #tag @name 5 % $ 10"),
        ("„Müller“ – हिन्दी, 東京!", "„ Müller “ – हिन्दी , 東京 !"),
        ("  \t\n", ""),
        ("'s '", "' s '"),
    ],
)
def test_the_rules(text: str, words: str) -> None:
    assert [word.text for word in split_words(text)] == words.split()


@given(st.text(st.characters(codec="utf-8")))
@example("\u200b a\u00a0b \ufeff")
@example("...'s...")
def test_every_character_is_in_one_word_at_its_position(text: str) -> None:
    for split in (split_words, split_blanks):
        words = split(text)
        assert all(text[word.start : word.end] == word.text for word in words)
        covered = [position for word in words for position in range(word.start, word.end)]
        assert covered == [position for position, character in enumerate(text) if not character.isspace()]


@given(st.lists(st.text(st.characters(codec="utf-8"), min_size=1).filter(lambda word: not any(map(str.isspace, word)))))
def test_words_of_a_split_text_are_not_changed(words: list[str]) -> None:
    text, placed = joined(words)
    assert split_blanks(text) == placed
    assert [word.text for word in placed] == words
