"""Our ids must be those of the `tokenizers` package."""
import json
import os
import random
import subprocess
import unicodedata
from pathlib import Path

import pytest
from tokenizers import Tokenizer, normalizers

ROOT = Path(__file__).resolve().parents[3]
PROGRAM = Path(os.environ["RUBATO_BUILD_DIR"]) / "tests/runtime/text/rubato_tokenize_lines"
SPECIAL = {"<|startoftext|>": 126080, "<|endoftext|>": 126081, "<|mdm_mask|>": 126336, "<|start_header_id|>": 126346,
           "<|end_header_id|>": 126347, "<|eot_id|>": 126348}
LLADA_SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*"
               r"|\s*[\r\n]|\s+(?!\S)|\s+")


def character(rng):
    """Any character that both libraries' Unicode tables know (3.11's are version 14, as PCRE2 10.42's): newer ones
    are unassigned in one and letters in the other."""
    while True:
        point = rng.choice([rng.randrange(0x80), rng.randrange(0x3000), rng.randrange(0x10000), rng.randrange(0x110000)])
        if unicodedata.category(chr(point)) not in ("Cs", "Cn"):
            return chr(point)


def strings(seed, count):
    rng = random.Random(seed)
    words = ["Ann", "has", " 12", "don't", "DON'T", "we'll", "\n\n", "   ", "\t", "def f(x):", "####", "é", "🎈", "漢字", "x" * 40,
             "<|eot_id|>", "\u200d", "e\u0301", "שלום", "\r\n", "1234567", "==", "...", " ", "\u00a0",
             "\u180e", "\u0085", "\x1c", "\u200b", "\ufeff", "ſ", "K"]
    for _ in range(count):
        pieces = [rng.choice(words) if rng.random() < 0.6 else character(rng) for _ in range(rng.randrange(1, 14))]
        yield "".join(pieces)


def is_known(character):
    """Whether the package normalises it as Unicode 14 does: its tables are those of Unicode 9."""
    forms = ("NFC", "NFD", "NFKC", "NFKD")
    tail = "\u0334"  # of class 1: it moves before a mark of any other class
    return all(getattr(normalizers, form)().normalize_str(character + tail) == unicodedata.normalize(form, character + tail)
               for form in forms)


def marks(seed, count):
    """Strings that normal forms change: marks in any order, Hangul in parts and whole, compatibility characters,
    characters that are excluded from composition."""
    rng = random.Random(seed)
    every = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    changing = [each for each in every if any(unicodedata.normalize(f, each) != each for f in ("NFC", "NFKC"))]
    combining = [each for each in every if unicodedata.combining(each)]
    changing, combining = (list(filter(is_known, some)) for some in (changing, combining))
    assert len(changing) > 4700 and len(combining) > 750
    hangul = [*range(0x1100, 0x1200), *range(0xAC00, 0xAC80), *range(0xD780, 0xD7A4)]
    for _ in range(count):
        pieces = []
        for _ in range(rng.randrange(1, 10)):
            kind = rng.randrange(5)
            if kind == 0:
                pieces.append(rng.choice(changing))
            elif kind == 1:
                pieces.append("".join(rng.choices(combining, k=rng.randrange(1, 6))))
            elif kind == 2:
                pieces.append("".join(chr(point) for point in rng.choices(hangul, k=rng.randrange(1, 6))))
            else:
                pieces.append(rng.choice(["a", "E", "hello", " ", "\u00e9", "\u03c9", "12", "\n", "\u0301", "\u0327"]))
        yield "".join(pieces)


def compare(tokenizer_json, texts, framed=False):
    reference = Tokenizer.from_file(str(tokenizer_json))
    reference.encode_special_tokens = True  # special tokens in text are text
    texts = list(texts)
    done = subprocess.run(
        [PROGRAM, tokenizer_json, *(["--framed"] if framed else [])], input="".join(json.dumps(t) + "\n" for t in texts),
        capture_output=True, text=True, check=True)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) == len(texts)
    for text, ids in zip(texts, found):
        assert ids == reference.encode(text, add_special_tokens=framed).ids, ascii(text)


@pytest.fixture
def embedded():
    return json.loads((ROOT / "models/llada-tiny/tokenizer.json").read_text())


@pytest.fixture
def written(tmp_path):
    """Writes a tokenizer.json and returns its path."""

    def write(data):
        file = tmp_path / "tokenizer.json"
        file.write_text(json.dumps(data))
        return file

    return write


def test_embedded_model():
    compare(ROOT / "models/llada-tiny/tokenizer.json", strings(7, 20000))


def test_lladas_expression_and_ids_at_full_size(embedded, written):
    embedded["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"] = LLADA_SPLIT
    vocabulary, merges = embedded["model"]["vocab"], embedded["model"]["merges"]
    letters = sorted(token for token in vocabulary if len(token) == 1)
    rng = random.Random(1)
    pieces = list(vocabulary)
    while len(vocabulary) < 126080:  # merges of what is there already, so that every token can come about
        left, right = rng.choice(pieces), rng.choice(letters)
        if left + right not in vocabulary:
            merges.append([left, right])
            vocabulary[left + right] = len(vocabulary)
            pieces.append(left + right)
    embedded["added_tokens"] = [dict(embedded["added_tokens"][0], id=number, content=token)
                                for token, number in SPECIAL.items()]
    compare(written(embedded), strings(7, 20000))


def test_nfc(embedded, written):
    embedded["normalizer"] = {"type": "NFC"}
    file = written(embedded)
    compare(file, (text for text in strings(8, 10000) if all(map(is_known, text))))
    compare(file, marks(9, 20000))


@pytest.mark.parametrize("forms", [["NFD"], ["NFKC"], ["NFKD"], ["NFKD", "NFC"], ["NFC", "NFKD"]])
def test_other_normal_forms(forms, embedded, written):
    embedded["normalizer"] = {"type": "Sequence", "normalizers": [{"type": form} for form in forms]}
    compare(written(embedded), marks(10, 3000))


def test_a_template(embedded, written):
    special = {token["content"]: token["id"] for token in embedded["added_tokens"]}
    names = ["<|startoftext|>", "<|endoftext|>"]
    pieces = [{"SpecialToken": {"id": names[0], "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
              {"SpecialToken": {"id": names[1], "type_id": 0}}]
    embedded["post_processor"] = {"type": "Sequence", "processors": [
        {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True},
        {"type": "TemplateProcessing", "single": pieces, "pair": [*pieces, {"Sequence": {"id": "B", "type_id": 1}}],
         "special_tokens": {name: {"id": name, "ids": [special[name]], "tokens": [name]} for name in names}}]}
    file = written(embedded)
    compare(file, strings(11, 1000), framed=True)
    compare(file, strings(11, 1000), framed=False)
