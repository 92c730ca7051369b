"""The words of the sandbox's world, by class.

A word belongs to one class only, so that a reader can tell from the word what it names. Nouns that follow "a" begin
with a consonant. About five hundred word types in all, with the function words of the sentence forms.
"""

from __future__ import annotations

from collections.abc import Mapping


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PEOPLE = _words(
    "Anna Ben Clara David Emma Felix Grace Henry Iris Jack Kate Leo Mia Noah Olga Paul Rosa Sam Tina Tom Vera Will "
    "Zoe Max Nina Oscar Ruth Simon Lucy Peter Sarah Hugo Maria Ralph Bella Victor"
)
CITIES = _words(
    "Lima Oslo Paris Rome Cairo Delhi Tokyo Boston Madrid Vienna Dublin Prague Athens Berlin Lagos Quito Seoul Turin "
    "Lyon Bergen Geneva Havana Dallas Munich"
)
JOBS = _words("cook nurse baker farmer teacher driver painter singer lawyer dentist miner sailor")
FOODS = _words("rice bread cheese pasta cake fish salad soup beans toast curry noodles")
ANIMALS = _words(
    "fox wolf bear goat horse rabbit lion tiger mouse snake turtle frog camel donkey beaver badger zebra monkey"
)
COLOURS = _words("red blue green yellow black white brown grey")
FEEDS = _words("grass seeds worms berries honey nuts corn roots moss flies")
HABITATS = _words("forest desert river field cave valley swamp jungle")
OBJECTS = _words(
    "cup lamp book chair clock key bag ring bottle map radio camera basket mirror drum pillow candle ladder pen box "
    "knife bell coin flag rope vase towel bucket blanket kettle "
    "sofa carpet whistle bracelet purse wallet fan jar"
)
FRUITS = _words("pear plum peach mango cherry lemon melon banana grape fig lime kiwi")
TOOLS = _words("hammer saw drill shovel rake chisel wrench brush file spade pump level")
FLOWERS = _words("rose lily tulip daisy poppy violet lotus dahlia peony carnation")
GARMENTS = _words("coat hat scarf shirt dress jacket skirt glove vest sweater")
BIRDS = _words("crow robin swan duck goose pigeon hawk sparrow parrot raven")
TOYS = _words("doll kite puzzle ball puppet robot yoyo balloon marble rattle")
DAYS = _words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
TOPICS = _words("food room service staff music view garden bed pool price lobby bar")
PRAISES = _words("fresh lovely warm clean great friendly pleasant perfect superb cosy")
COMPLAINTS = _words("awful dirty cold loud shabby poor boring nasty filthy rotten")
HAPPY = _words("happy glad proud merry")
SAD = _words("sad angry upset gloomy")
INSULTS = _words("fool clown pest liar")
SLIGHTS = _words("stupid silly dull useless")
GAINS = _words("won found got bought")
LOSSES = _words("lost broke dropped burned")
PRESENT = _words("hides sells keeps paints takes leaves cleans brings")
PAST = _words("hid sold kept painted took left cleaned brought")

GROUPS: Mapping[str, tuple[str, ...]] = {
    "fruit": FRUITS,
    "tool": TOOLS,
    "flower": FLOWERS,
    "garment": GARMENTS,
    "bird": BIRDS,
    "toy": TOYS,
}
"""What one may be asked to name a member of."""

CLASSES: Mapping[str, tuple[str, ...]] = {
    "person": PEOPLE,
    "city": CITIES,
    "job": JOBS,
    "food": FOODS,
    "animal": ANIMALS,
    "colour": COLOURS,
    "feed": FEEDS,
    "habitat": HABITATS,
    "object": OBJECTS,
    "group": tuple(GROUPS),
    "member": tuple(word for words in GROUPS.values() for word in words),
    "day": DAYS,
    "topic": TOPICS,
    "praise": PRAISES,
    "complaint": COMPLAINTS,
    "quality": PRAISES + COMPLAINTS,
    "happy": HAPPY,
    "sad": SAD,
    "mood": HAPPY + SAD,
    "insult": INSULTS,
    "slight": SLIGHTS,
    "gain": GAINS,
    "loss": LOSSES,
    "fortune": GAINS + LOSSES,
    "present": PRESENT,
    "past": PAST,
    "deed": PRESENT + PAST,
    "article": ("a", "the"),
    "verdict": ("good", "bad"),
}
"""Every class a sentence form may have a gap for. A gap's name is its class, with a digit where there are two."""

GROUP_OF: Mapping[str, str] = {word: group for group, words in GROUPS.items() for word in words}
