"""A short list of English words that offend, each with how likely it makes a text toxic. Content note: it spells them.

Weights were set by hand before anything was measured with them. A word stands for its forms: plural, -ed, -er, -ing.
"""

from __future__ import annotations

from collections.abc import Mapping

_BY_WEIGHT: Mapping[float, str] = {
    0.95: "fuck motherfucker cunt nigger faggot kike spic chink wetback raghead tranny fag",
    0.85: "shit bitch asshole cock dick pussy whore slut bastard cocksucker dickhead retard wanker"
    " twat jackass bullshit",
    0.7: "ass piss tits penis vagina genital dildo porn rape rapist idiot moron stupid dumb dumbass scumbag pervert",
    0.55: "crap damn goddamn hell suck loser pathetic disgusting ugly filthy trash scum vermin savage fool jerk coward"
    " worthless hate hateful kill murder murderer murderous slaughter molest incest nazi terrorist racist sexist"
    " bigot",
    0.35: "sex sexual sexually naked breast blood bloody die dead death shoot stab torture beat corpse evil crazy"
    " insane lunatic liar ridiculous nonsense garbage weak lazy enemy destroy drunk fat violent violence abuse"
    " criminal",
}
WEIGHTS: Mapping[str, float] = {word: weight for weight, words in _BY_WEIGHT.items() for word in words.split()}
"""Of each word: the score of a text that holds it and no other."""
