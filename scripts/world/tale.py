"""The machinery under the stories: dice, people, places, things, and a tale that keeps track of its own state.

Only random() is drawn from the generator, because that is the one method whose sequence Python promises to keep;
every other choice is made from it here, so the same seed gives the same bytes everywhere.
"""
import random
import re

import lexicon as lex

CHOICE = re.compile(r"\[([^\[\]]*)\]")
SENTENCE_START = re.compile(r'(^|\n|[.!?:] (?=")|[.!?] |(?:^|\n|(?<!,) )")([a-z])')
VOWEL_SOUND = re.compile(r"^(?:[aeio]|u(?!n[it])|hon(?:est|our))", re.I)


def article(phrase):
    """'a' or 'an' in front of a phrase."""
    return ("an " if VOWEL_SOUND.match(phrase) else "a ") + phrase


def number(n):
    """A number below one hundred in words."""
    if n <= 20:
        return lex.NUMBERS[n]
    tens, ones = divmod(n, 10)
    return lex.TENS[tens] + ("-" + lex.NUMBERS[ones] if ones else "")


def listing(parts):
    """'a', 'a and b', 'a, b and c'."""
    parts = list(parts)
    if len(parts) < 2:
        return "".join(parts)
    return ", ".join(parts[:-1]) + " and " + parts[-1]


class Dice:
    """Choices built on random() alone."""

    def __init__(self, seed):
        self._random = random.Random(seed).random

    def between(self, low, high):
        return low + int(self._random() * (high - low + 1))

    def pick(self, items):
        return items[int(self._random() * len(items))]

    def chance(self, p):
        return self._random() < p

    def sample(self, items, k):
        pool = list(items)
        return [pool.pop(int(self._random() * len(pool))) for _ in range(k)]


class Place:
    """A place on the map; str() gives it with its article."""

    def __init__(self, name, prep, x, y, sight):
        self.name, self.prep, self.x, self.y, self.sight = name, prep, x, y, sight

    def __str__(self):
        return "the " + self.name

    @property
    def at(self):
        return f"{self.prep} the {self.name}"


class Person:
    """Somebody of the village, with pronouns."""

    def __init__(self, name, sex, age, trait, trade, home, pet):
        self.name, self.age, self.trait, self.trade = name, age, trait, trade
        self.home = PLACES[home]
        self.pet = pet
        female = sex == "f"
        self.he, self.him, self.his, self.himself = (
            ("she", "her", "her", "herself") if female else ("he", "him", "his", "himself"))
        self.hers = "hers" if female else "his"
        self.child = age < 14
        self.kin = []
        self.tool, self.product, self.products, self.doing, self.other_doing = lex.TRADES[trade]
        self.habit, self.saying = lex.TRAITS[trait]

    def __str__(self):
        return self.name

    @property
    def the(self):
        return "the " + self.trade

    @property
    def a(self):
        return article(self.trait + " " + self.trade)

    @property
    def years(self):
        return number(self.age)

    @property
    def kind(self):
        return self.pet[0]

    @property
    def petname(self):
        return self.pet[1]


class Thing:
    """An object with a colour and a material; str() gives the definite form."""

    def __init__(self, noun, colour, material):
        self.noun, self.colour, self.material = noun, colour, material

    @property
    def bare(self):
        return f"{self.colour} {self.material} {self.noun}"

    @property
    def brief(self):
        return f"{self.colour} {self.noun}"

    @property
    def a(self):
        return article(self.bare)

    def __str__(self):
        return f"the {self.colour} {self.noun}"


PLACES = {row[0]: Place(*row) for row in lex.PLACES}
PEOPLE = {row[0]: Person(*row) for row in lex.PEOPLE}
for _one, _word, _other, _back in lex.KIN:
    PEOPLE[_one].kin.append((_word, PEOPLE[_other]))
    PEOPLE[_other].kin.append((_back, PEOPLE[_one]))


def direction(start, end):
    """The compass word from one place to another."""
    dx, dy = end.x - start.x, end.y - start.y
    parts = []
    if abs(dy) * 2 >= abs(dx):
        parts.append("north" if dy > 0 else "south")
    if abs(dx) * 2 >= abs(dy) and dx:
        parts.append("east" if dx > 0 else "west")
    return "".join(parts)


def route(start, end):
    """The places one passes when walking straight from start to end, without both."""
    dx, dy = end.x - start.x, end.y - start.y
    length = dx * dx + dy * dy
    passed = []
    for place in PLACES.values():
        if place in (start, end):
            continue
        along = (place.x - start.x) * dx + (place.y - start.y) * dy
        across = abs((place.x - start.x) * dy - (place.y - start.y) * dx)
        if 0 < along < length and across * across <= length * 0.6:
            passed.append((along, place.name, place))
    return [entry[2] for entry in sorted(passed, key=lambda e: e[:2])][:3]


def mentioned(sentence):
    """The people a sentence names."""
    return {word for word in re.findall(r"\w+", sentence) if word in PEOPLE}


class Tale:
    """One story in the making: its cast, its day and weather, what has been said so far."""

    def __init__(self, dice):
        self.dice = dice
        self.season = dice.pick(list(lex.WEATHER))
        self.weather = dice.pick(lex.WEATHER[self.season])
        self.day = dice.between(0, 6)
        self.used_things = set()
        self.used_names = set()
        self.names = {}
        self.paragraphs = [[]]

    def expand(self, text):
        """Resolves the [a|b] choices, then the {slots}, then capitals."""
        while True:
            found = CHOICE.search(text)
            if not found:
                break
            choice = self.dice.pick(found.group(1).split("|"))
            text = text[:found.start()] + choice + text[found.end():]
        text = text.format(**self.names)
        return SENTENCE_START.sub(lambda m: m.group(1) + m.group(2).upper(), text)

    def say(self, *variants):
        """Adds one of the variants to the current paragraph."""
        sentence = self.expand(self.dice.pick(variants))
        if self.paragraphs[-1] and self.dice.chance(0.6):
            sentence = self.with_pronoun(sentence)
        self.paragraphs[-1].append(sentence)

    def with_pronoun(self, sentence):
        """'She' for the name a sentence begins with, where the sentence before was about her and nobody else."""
        before = self.paragraphs[-1][-1]
        name = re.match(r"(\w+) [a-z]", sentence)
        person = PEOPLE.get(name.group(1)) if name else None
        rest = sentence[len(name.group(1)):] if name else ""
        if not person or '"' in before or rest.startswith((" the ", " and ")):
            return sentence
        if mentioned(before) != {person.name}:
            return sentence
        return person.he.capitalize() + rest

    def turn(self):
        """Begins a new paragraph."""
        if self.paragraphs[-1]:
            self.paragraphs.append([])

    def line(self, *variants):
        """A paragraph of its own: dialogue, a line of verse, a line of a letter."""
        self.turn()
        self.say(*variants)
        self.turn()

    def set(self, **names):
        self.names.update(names)

    def cast(self, role, test=lambda person: True):
        """Puts a person who was not yet in this story into a role."""
        pool = [p for p in PEOPLE.values() if p.name not in self.used_names and test(p)]
        person = self.dice.pick(pool)
        self.used_names.add(person.name)
        self.names[role] = person
        return person

    def use(self, role, person):
        self.used_names.add(person.name)
        self.names[role] = person
        return person

    def thing(self, role, nouns=None):
        """Makes an object whose noun was not yet used in this story."""
        pool = [n for n in (nouns or lex.THINGS) if n not in self.used_things]
        noun = self.dice.pick(pool)
        self.used_things.add(noun)
        made = Thing(noun, self.dice.pick(lex.COLOURS), self.dice.pick(lex.THINGS[noun]))
        self.names[role] = made
        return made

    def place(self, role, *without):
        """Picks a place that is none of the given ones."""
        chosen = self.dice.pick([p for p in PLACES.values() if p not in without])
        self.names[role] = chosen
        return chosen

    def dayname(self, after=0):
        return lex.DAYS[(self.day + after) % 7]

    def text(self):
        return "\n".join(" ".join(p) for p in self.paragraphs if p)
