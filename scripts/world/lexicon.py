"""The nouns of the little world: who lives in Elderwick, what there is, and where it lies.

Everything here is fixed, so that a model trained on the stories can learn facts (who keeps the mill, what lies
north of the bridge) and not only sentences: facts are what low-bit weights lose first.
"""

# name, sex, age, trait, trade, home, pet (kind, name) or None
PEOPLE = [
    ("Anna", "f", 34, "patient", "miller", "mill", ("cat", "Pepper")),
    ("Bruno", "m", 41, "hasty", "baker", "bakery", None),
    ("Clara", "f", 29, "curious", "clockmaker", "clock tower", ("owl", "Minerva")),
    ("Dorian", "m", 52, "proud", "smith", "forge", ("dog", "Ember")),
    ("Edith", "f", 67, "thrifty", "weaver", "weaving house", ("cat", "Thimble")),
    ("Felix", "m", 23, "dreamy", "painter", "old windmill", None),
    ("Greta", "f", 38, "stubborn", "ferrywoman", "ferry landing", ("goose", "Duchess")),
    ("Hugo", "m", 46, "gloomy", "fisherman", "harbour", None),
    ("Ida", "f", 9, "brave", "schoolgirl", "mill", ("rabbit", "Clover")),
    ("Jonas", "m", 11, "clumsy", "schoolboy", "bakery", ("dog", "Biscuit")),
    ("Klara", "f", 10, "talkative", "schoolgirl", "inn", None),
    ("Lukas", "m", 8, "shy", "schoolboy", "harbour", ("toad", "Admiral")),
    ("Marta", "f", 55, "cheerful", "innkeeper", "inn", ("hen", "Countess")),
    ("Niels", "m", 61, "forgetful", "teacher", "school", None),
    ("Olga", "f", 44, "honest", "doctor", "stone house", ("mare", "Willow")),
    ("Peter", "m", 19, "lazy", "shepherd", "high pasture", ("dog", "Bramble")),
    ("Quentin", "m", 73, "wise", "bookbinder", "library", ("crow", "Inkpot")),
    ("Rosa", "f", 26, "kind", "gardener", "rose garden", ("hedgehog", "Button")),
    ("Stefan", "m", 35, "careful", "carpenter", "sawmill", None),
    ("Tilda", "f", 31, "sly", "peddler", "market square", ("donkey", "Turnip")),
    ("Ulrich", "m", 58, "grumpy", "lighthouse keeper", "lighthouse", ("cat", "Storm")),
    ("Vera", "f", 48, "generous", "beekeeper", "heather hill", None),
    ("Walter", "m", 64, "silent", "forester", "forest lodge", ("badger", "Bishop")),
    ("Yvonne", "f", 21, "merry", "fiddler", "inn", None),
    ("Zacharias", "m", 80, "forgetful", "storyteller", "chapel", ("donkey", "Moses")),
    ("Agnes", "f", 12, "clever", "schoolgirl", "forge", None),
    ("Bertil", "m", 28, "greedy", "merchant", "market square", ("parrot", "Captain")),
    ("Cecily", "f", 24, "hasty", "postwoman", "post office", ("pony", "Comet")),
    ("Emil", "m", 17, "eager", "apprentice", "sawmill", None),
    ("Frida", "f", 39, "stern", "potter", "pottery", ("goat", "Vinegar")),
    ("Gustav", "m", 50, "jolly", "cheesemaker", "dairy", ("cow", "Marigold")),
    ("Hanna", "f", 7, "curious", "little girl", "rose garden", ("mouse", "Crumb")),
    ("Ivan", "m", 33, "brave", "sailor", "harbour", ("parrot", "Pirate")),
    ("Johanna", "f", 70, "wise", "midwife", "stone house", None),
    ("Kasper", "m", 13, "boastful", "goatherd", "high pasture", ("goat", "Trumpet")),
    ("Lotte", "f", 27, "shy", "glassblower", "glass house", None),
    ("Magnus", "m", 43, "strong", "mason", "quarry", ("ox", "Pebble")),
    ("Nora", "f", 36, "careful", "tailor", "tailor's shop", ("cat", "Velvet")),
    ("Oskar", "m", 30, "cheerful", "cobbler", "cobbler's shop", None),
    ("Paula", "f", 15, "dreamy", "candle maker", "chapel", ("dove", "Snowdrop")),
]

# unordered kinships: (who, word for the other, other, word back)
KIN = [
    ("Anna", "daughter", "Ida", "mother"), ("Bruno", "son", "Jonas", "father"),
    ("Marta", "granddaughter", "Klara", "grandmother"), ("Hugo", "son", "Lukas", "father"),
    ("Dorian", "daughter", "Agnes", "father"), ("Rosa", "daughter", "Hanna", "mother"),
    ("Edith", "sister", "Johanna", "sister"), ("Quentin", "brother", "Zacharias", "brother"),
    ("Peter", "brother", "Kasper", "brother"), ("Stefan", "nephew", "Emil", "uncle"),
    ("Olga", "mother", "Johanna", "daughter"), ("Vera", "sister", "Marta", "sister"),
    ("Greta", "brother", "Ulrich", "sister"), ("Felix", "sister", "Yvonne", "brother"),
    ("Walter", "niece", "Paula", "uncle"), ("Gustav", "wife", "Frida", "husband"),
    ("Magnus", "sister", "Nora", "brother"), ("Oskar", "cousin", "Cecily", "cousin"),
    ("Ivan", "cousin", "Lotte", "cousin"), ("Tilda", "cousin", "Bertil", "cousin"),
    ("Clara", "teacher", "Niels", "pupil"), ("Ida", "friend", "Jonas", "friend"),
    ("Klara", "friend", "Agnes", "friend"), ("Hanna", "friend", "Lukas", "friend"),
]

# name, preposition, x (east), y (north), what is seen there
PLACES = [
    ("mill", "at", 0, 2, "the great wheel turned and groaned in the stream"),
    ("bakery", "at", 1, 1, "warm loaves steamed behind the window"),
    ("clock tower", "at", 1, 2, "pigeons slept under the big iron hands"),
    ("forge", "at", 2, 1, "sparks leapt from the anvil"),
    ("weaving house", "at", 0, 1, "the looms clacked like wooden birds"),
    ("old windmill", "at", -1, 3, "the torn sails creaked in the breeze"),
    ("ferry landing", "at", 3, 0, "a flat boat rocked on its chain"),
    ("harbour", "in", 4, 0, "masts swayed and gulls quarrelled over scraps"),
    ("inn", "at", 2, 0, "somebody was always laughing by the fire"),
    ("school", "at", 1, 0, "chalk dust floated in the sunbeams"),
    ("stone house", "at", 0, 0, "bunches of dry herbs hung from the beams"),
    ("high pasture", "on", -2, 4, "bells tinkled in the long grass"),
    ("library", "in", 2, 2, "books stood in rows up to the ceiling"),
    ("rose garden", "in", 3, 2, "bees hummed above the thorny beds"),
    ("sawmill", "at", -1, 1, "fresh planks smelled of resin"),
    ("market square", "on", 1, -1, "striped awnings flapped over the stalls"),
    ("lighthouse", "at", 5, 1, "the lamp swept slowly across the waves"),
    ("heather hill", "on", -2, 2, "forty white hives stood among the purple flowers"),
    ("forest lodge", "at", -3, 1, "antlers hung above a low green door"),
    ("chapel", "in", 2, 3, "candles flickered beneath the painted windows"),
    ("post office", "at", 0, -1, "parcels were stacked on a crooked shelf"),
    ("pottery", "at", -1, 0, "blue bowls dried on long boards"),
    ("dairy", "at", -1, -1, "round cheeses ripened in the cool cellar"),
    ("glass house", "at", 3, 1, "the furnace glowed orange day and night"),
    ("quarry", "in", -2, 0, "grey blocks lay about like sleeping cattle"),
    ("tailor's shop", "in", 2, -1, "ribbons and bolts of cloth filled every corner"),
    ("cobbler's shop", "in", 0, -2, "a hundred boots hung from the rafters"),
    ("stone bridge", "on", 3, -1, "the river murmured under three mossy arches"),
    ("orchard", "in", -1, 2, "crooked branches bent over the wall"),
    ("birch forest", "in", -3, 2, "the pale trunks stood like silent guests"),
    ("river meadow", "on", 4, -1, "dragonflies danced above the reeds"),
    ("village well", "at", 1, -2, "women were filling their buckets"),
    ("hollow oak", "at", -2, 1, "there was a hole large enough for a child"),
    ("castle ruin", "in", -2, 5, "ivy climbed over the broken gate"),
    ("fox's cave", "in", -3, 4, "the walls dripped and every whisper echoed"),
    ("graveyard wall", "by", 3, 3, "snails crept over the warm stones"),
]

# trade -> tool, product (singular, plural), two things the person does, what for
TRADES = {
    "miller": ("millstone", "sack of flour", "sacks of flour", "grinding barley", "filling sacks"),
    "baker": ("rolling pin", "loaf", "loaves", "kneading dough", "sweeping the oven"),
    "clockmaker": ("magnifying glass", "clock", "clocks", "oiling tiny wheels", "winding the springs"),
    "smith": ("hammer", "horseshoe", "horseshoes", "hammering iron", "shoeing a horse"),
    "weaver": ("shuttle", "blanket", "blankets", "dyeing wool", "mending a carpet"),
    "painter": ("brush", "picture", "pictures", "mixing colours", "sketching the clouds"),
    "ferrywoman": ("oar", "rope", "ropes", "rowing travellers across", "patching the boat"),
    "fisherman": ("net", "trout", "trout", "mending nets", "gutting fish"),
    "schoolgirl": ("slate", "drawing", "drawings", "learning verses", "skipping rope"),
    "schoolboy": ("slate", "paper boat", "paper boats", "learning sums", "throwing stones into the water"),
    "innkeeper": ("ladle", "bowl of soup", "bowls of soup", "stirring the soup", "polishing glasses"),
    "teacher": ("pointer", "book", "books", "correcting papers", "looking for his spectacles"),
    "doctor": ("thermometer", "bottle of medicine", "bottles of medicine", "boiling herbs", "bandaging a thumb"),
    "shepherd": ("crook", "fleece", "fleeces", "counting sheep", "carving a flute"),
    "bookbinder": ("bone folder", "book", "books", "gluing old pages", "sewing a spine"),
    "gardener": ("spade", "rose", "roses", "pruning the hedges", "watering the seedlings"),
    "carpenter": ("saw", "chair", "chairs", "planing a board", "building a cupboard"),
    "peddler": ("cart", "ribbon", "ribbons", "loading the cart", "bargaining loudly"),
    "lighthouse keeper": ("telescope", "lamp", "lamps", "trimming the wick", "watching the ships"),
    "beekeeper": ("smoker", "jar of honey", "jars of honey", "scraping honeycombs", "whispering to the bees"),
    "forester": ("axe", "bundle of firewood", "bundles of firewood", "splitting logs", "following tracks"),
    "fiddler": ("fiddle", "song", "songs", "tuning the strings", "practising a waltz"),
    "storyteller": ("walking stick", "story", "stories", "remembering old kings", "dozing in the sun"),
    "merchant": ("scales", "barrel of salt", "barrels of salt", "counting coins", "weighing spices"),
    "postwoman": ("satchel", "parcel", "parcels", "sorting letters", "stamping parcels"),
    "apprentice": ("chisel", "stool", "stools", "sharpening tools", "sweeping up shavings"),
    "potter": ("wheel", "bowl", "bowls", "turning a pot", "glazing bowls"),
    "cheesemaker": ("press", "cheese", "cheeses", "salting cheeses", "skimming cream"),
    "little girl": ("wooden spoon", "daisy chain", "daisy chains", "making mud pies", "asking questions"),
    "sailor": ("compass", "knot", "knots", "scrubbing the deck", "coiling ropes"),
    "midwife": ("teapot", "pair of baby socks", "pairs of baby socks", "knitting socks", "drying herbs"),
    "goatherd": ("horn", "cheese", "cheeses", "chasing goats", "blowing the horn"),
    "glassblower": ("pipe", "bottle", "bottles", "blowing bottles", "cooling a vase"),
    "mason": ("trowel", "brick", "bricks", "cutting stone", "repairing a wall"),
    "tailor": ("scissors", "shirt", "shirts", "sewing a hem", "measuring sleeves"),
    "cobbler": ("awl", "pair of shoes", "pairs of shoes", "stitching soles", "waxing thread"),
    "candle maker": ("mould", "candle", "candles", "melting wax", "twisting wicks"),
}

# trait -> how it shows (past), what others say of it
TRAITS = {
    "patient": ("never hurried", "could wait for a kettle without once looking at it"),
    "hasty": ("did everything twice as fast as needed", "was out of the door before the sentence was finished"),
    "curious": ("asked why before anyone else asked what", "could not pass a closed box without lifting the lid"),
    "proud": ("held a straight back even in the rain", "did not like to ask for help"),
    "thrifty": ("saved every scrap of string", "turned each penny over before spending it"),
    "dreamy": ("often looked at clouds instead of the road", "heard a question only when it was asked twice"),
    "stubborn": ("would not turn back for wind or water", "had never once changed an opinion before supper"),
    "gloomy": ("expected rain on the brightest morning", "sighed before every meal"),
    "brave": ("was afraid of nothing but spiders", "walked through the dark without a lantern"),
    "clumsy": ("tripped over every threshold", "had broken more cups than the whole village owned"),
    "talkative": ("could speak for an hour without a breath", "told every secret by noon"),
    "shy": ("spoke so softly that people leaned forward", "blushed at the smallest word of praise"),
    "cheerful": ("whistled from dawn until dusk", "found something good in every puddle"),
    "forgetful": ("could lose a hat while wearing it", "tied knots in a handkerchief and forgot what they meant"),
    "honest": ("had never told a lie", "gave back every coin found in the street"),
    "lazy": ("liked best to lie in the grass", "yawned at the mere sight of a shovel"),
    "wise": ("thought for a long time and answered in few words", "knew the old remedies and the old songs"),
    "kind": ("fed the sparrows before breakfast", "could not see anyone sad without stopping"),
    "careful": ("measured everything three times", "tested each rung before climbing a ladder"),
    "sly": ("always knew a shorter way and a better price", "smiled with only half of the mouth"),
    "grumpy": ("grumbled at the sun and at the moon", "slammed doors that had done no harm"),
    "generous": ("gave away the bigger half", "never let a guest leave with empty hands"),
    "silent": ("used about ten words a day", "nodded where others made speeches"),
    "merry": ("laughed so loudly that the windows rang", "danced even while carrying water"),
    "clever": ("solved every riddle on the first try", "did sums faster than the teacher"),
    "greedy": ("wanted one more of everything", "counted the spoons of other people"),
    "eager": ("ran where others walked", "began the work before hearing what it was"),
    "stern": ("frowned at muddy boots", "forgave slowly but thoroughly"),
    "jolly": ("laughed until the cups rattled", "slapped every friend on the shoulder"),
    "boastful": ("claimed to have wrestled a bear", "made every small deed three times larger"),
    "strong": ("could lift a calf with one arm", "carried two barrels where others rolled one"),
}

COLOURS = ["red", "blue", "green", "yellow", "black", "white", "brown", "grey", "purple", "orange", "golden", "pink"]

# noun -> materials it may be made of
THINGS = {
    "lantern": ["brass", "tin", "copper"], "key": ["iron", "brass", "silver"], "ring": ["silver", "copper", "brass"],
    "cup": ["clay", "tin", "silver"], "box": ["wooden", "tin", "leather"], "kettle": ["copper", "iron", "tin"],
    "whistle": ["tin", "wooden", "bone"], "drum": ["leather", "tin"], "flute": ["wooden", "silver", "bone"],
    "basket": ["willow", "straw"], "scarf": ["woollen", "silk", "linen"], "coat": ["woollen", "leather"],
    "hat": ["felt", "straw", "leather"], "blanket": ["woollen", "linen"], "cloak": ["woollen", "velvet"],
    "map": ["paper", "leather", "linen"], "book": ["leather", "paper"], "compass": ["brass", "silver"],
    "bell": ["brass", "silver", "iron"], "mirror": ["silver", "glass", "copper"], "clock": ["wooden", "brass"],
    "knife": ["steel", "bone"], "spoon": ["wooden", "silver", "tin"], "comb": ["bone", "wooden", "silver"],
    "chain": ["silver", "iron", "copper"], "coin": ["silver", "copper"], "button": ["bone", "brass", "wooden"],
    "kite": ["paper", "silk"], "bucket": ["wooden", "tin"], "saddle": ["leather"], "chest": ["oak", "iron"],
    "umbrella": ["silk", "cotton"], "apron": ["linen", "leather", "cotton"], "ball": ["leather", "glass", "woollen"],
    "doll": ["wooden", "cotton"], "violin": ["wooden"], "jug": ["clay", "glass", "tin"], "vase": ["glass", "clay"],
    "purse": ["leather", "velvet"], "needle": ["steel", "bone"], "candlestick": ["brass", "silver", "iron"],
    "sledge": ["wooden"], "thimble": ["silver", "brass"], "marble": ["glass", "clay"], "top": ["wooden"],
    "axe": ["iron", "steel"], "ladder": ["wooden"], "teapot": ["clay", "silver"], "brooch": ["silver", "copper"],
}
SHINY = ["ring", "key", "coin", "brooch", "thimble", "chain", "spoon", "button", "bell"]
TOOLS = ["ladder", "axe", "bucket", "kettle", "sledge", "lantern", "compass", "saddle", "umbrella", "needle"]

# one, many, price of one in pennies
GOODS = [
    ("apple", "apples", 1), ("pear", "pears", 1), ("plum", "plums", 1), ("egg", "eggs", 2), ("loaf", "loaves", 3),
    ("candle", "candles", 2), ("onion", "onions", 1), ("turnip", "turnips", 1), ("cheese", "cheeses", 5),
    ("bun", "buns", 2), ("cabbage", "cabbages", 3), ("pumpkin", "pumpkins", 4), ("lemon", "lemons", 2),
    ("jar of honey", "jars of honey", 6), ("pie", "pies", 4), ("basket", "baskets", 3), ("broom", "brooms", 4),
    ("mushroom", "mushrooms", 1), ("brush", "brushes", 3), ("sausage", "sausages", 2), ("pot", "pots", 5),
    ("ribbon", "ribbons", 1), ("bottle", "bottles", 2), ("carrot", "carrots", 1), ("herring", "herrings", 2),
]

WEATHER = {
    "spring": [
        ("rain", "A soft rain had fallen all night", "the paths were muddy", "puddles"),
        ("wind", "A fresh wind blew from the sea", "hats had to be held with one hand", "gusts"),
        ("sun", "The morning was mild and clear", "the swallows were back under the roofs", "sunshine"),
        ("flood", "The snow had melted in the hills and the river was high", "the water stood over the banks", "water"),
    ],
    "summer": [
        ("heat", "It had not rained for weeks", "the grass was yellow and the dogs slept in the shade", "heat"),
        ("thunder", "Dark clouds were piling up over the hills", "thunder rolled behind the forest", "storm"),
        ("sun", "The sun stood high and hot", "everybody longed for a cool drink", "sunshine"),
        ("haze", "A golden haze lay over the fields", "the crickets sang without a pause", "haze"),
    ],
    "autumn": [
        ("fog", "A thick fog had crept up from the river", "one could hardly see the next house", "fog"),
        ("storm", "A storm tore at the shutters", "branches lay across the road", "storm"),
        ("leaves", "Red and yellow leaves whirled through the lanes", "the air smelled of smoke and apples", "leaves"),
        ("drizzle", "It drizzled from morning until evening", "the cobblestones shone like fish", "drizzle"),
    ],
    "winter": [
        ("snow", "It had snowed for two days", "the roofs wore thick white caps", "snow"),
        ("frost", "A hard frost had come overnight", "the river was frozen from bank to bank", "ice"),
        ("blizzard", "A blizzard howled around the chimneys", "nobody went out without a rope", "blizzard"),
        ("stars", "The air was cold and very still", "the stars glittered like splinters of glass", "frost"),
    ],
}
SEASON_SIGNS = {
    "spring": ["lambs were jumping in the fields", "the first violets were open", "storks were building their nests",
               "the farmers were ploughing", "frogs croaked in every ditch"],
    "summer": ["the hay was being cut", "children swam in the river", "cherries hung over the fences",
               "the evenings were long and blue", "swifts screamed around the tower"],
    "autumn": ["the geese were flying south", "the potatoes were being dug", "chestnuts dropped on the road",
               "the barns were full to the roof", "spiders hung their webs between the gateposts"],
    "winter": ["smoke rose straight from the chimneys", "children skated on the pond", "icicles hung from the gutters",
               "the hens refused to leave the barn", "people told stories by the stove"],
}
DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
NUMBERS = ("no one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
           "seventeen eighteen nineteen twenty").split()
TENS = {2: "twenty", 3: "thirty", 4: "forty", 5: "fifty", 6: "sixty", 7: "seventy", 8: "eighty", 9: "ninety"}
ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth"]
ANIMALS = ["lamb", "calf", "kitten", "puppy", "foal", "duckling", "hedgehog", "young owl", "fawn", "piglet", "swan",
           "otter", "squirrel", "kid", "stork", "donkey"]
SOUNDS = {"lamb": "bleating", "calf": "mooing", "kitten": "mewing", "puppy": "whimpering", "foal": "neighing",
          "duckling": "peeping", "hedgehog": "snuffling", "young owl": "hooting", "fawn": "crying",
          "piglet": "squealing", "swan": "hissing", "otter": "whistling", "squirrel": "chattering",
          "kid": "bleating", "stork": "clattering", "donkey": "braying"}

# question lines, answer
RIDDLES = [
    ("I have hands but cannot clap, a face but cannot smile", "a clock"),
    ("I have teeth but never bite, and I walk through every head of hair", "a comb"),
    ("The more you take from me, the larger I become", "a hole"),
    ("I fall without a wound and cover the whole land, yet a warm hand destroys me", "the snow"),
    ("I run all day and never leave my bed", "the river"),
    ("I have an eye but cannot see, and I pull a long tail through the cloth", "a needle"),
    ("I speak every language but only after you", "an echo"),
    ("I grow shorter as I grow older, and I weep while I shine", "a candle"),
    ("I am full of holes and still hold water", "a sponge"),
    ("I have wings of cloth and no feathers, and I work when the wind is angry", "a windmill"),
    ("I follow you at noon and at sunset, but I am afraid of the dark", "a shadow"),
    ("I have a neck but no head and two arms but no hands", "a shirt"),
    ("I build my house of wax and pay my rent in gold", "a bee"),
    ("I carry a thousand words and cannot say a single one", "a book"),
    ("I have one leg and a round hat, and I come after the rain", "a mushroom"),
    ("I am born in the evening and die in the morning, and sailors steer by me", "a star"),
]

# pairs of rhyming lines, used as couplets
COUPLETS = [
    ("The miller's wheel goes round and round,", "and all the golden corn is ground."),
    ("The moon has climbed above the hill,", "the river sleeps, the owl is still."),
    ("A candle burns upon the sill", "for those who wander, lost and chill."),
    ("The north wind knocks at every door,", "the waves come rolling to the shore."),
    ("Oh, bring the bread and bring the wine,", "your house is warm and so is mine."),
    ("The fox is red, the snow is white,", "he tiptoes through the winter night."),
    ("The bees have hung their golden thread", "above the gentle roses' bed."),
    ("A sailor sang upon the sea:", "the wind, the wind has carried me."),
    ("The bell has rung, the day is done,", "the hills have swallowed up the sun."),
    ("The swallow knows the way back home,", "however far her wings may roam."),
    ("Three geese went walking to the fair", "with yellow ribbons in their hair."),
    ("The cobbler hums, the needle flies,", "a shoe is born before your eyes."),
    ("If I were king, I'd give my crown", "for one more day in this old town."),
    ("The oak is old, the oak is wide,", "and seven secrets sleep inside."),
    ("A penny lost, a penny found,", "the world is wide, the world is round."),
    ("The rain has washed the rooftops clean,", "the grass puts on a brighter green."),
    ("Old friends are like a winter coat:", "they warm the heart, they warm the throat."),
    ("The kettle sings, the cat is curled,", "there is no better in the world."),
]
WISHES = ["a long and quiet life", "a house with a blue door", "a voyage to the southern islands", "a good harvest",
          "a winter without coughs", "peace between the neighbours", "a hundred new songs", "a garden by the sea"]
NEWS = [
    "the roof of the barn has been mended", "the baby has learned to walk", "the old mare had twin foals",
    "the plum tree is in blossom again", "the well gives sweet water", "we have painted the shutters green",
    "the cat sleeps in your chair", "the choir sings louder than ever", "the bridge has a new railing",
    "the hens lay two eggs a day", "a comet was seen over the chapel", "the mayor has grown a beard",
    "the soup is still too salty", "the frost has spared the cherries", "a circus came with two camels",
    "the big clock is seven minutes late",
]
GOSSIP = [
    "a whale had been seen beyond the lighthouse", "the mayor wanted to sell the bridge",
    "somebody had painted a moustache on the statue", "the king himself might come in autumn",
    "there was gold in the quarry", "the ghost of the castle had lost its chains", "the price of salt had doubled",
    "a bear had been stealing honey on the heather hill", "the new priest snored during his own sermon",
    "the oldest oak would soon fall", "a giant pumpkin was growing behind the dairy",
    "the ferry had sprung a leak", "a stranger with a wooden leg was asking for a treasure map",
]
PROVERBS = [
    "a borrowed thing has two owners and one conscience", "who asks the way does not lose it",
    "a small key opens a large door", "haste breaks the cup and patience glues it",
    "an honest penny shines in the dark", "even the longest night ends at the bakery",
    "a friend is found in the rain", "one good turn warms two hands", "the tongue is faster than the foot",
    "who shares the bread halves the hunger", "the river never asks who is thirsty",
    "pride climbs up and must be carried down", "a promise is a debt without paper",
    "two heads are better than one hat", "what the wind takes, the neighbour brings back",
]
DISHES = ["pea soup", "onion tart", "roast goose", "plum dumplings", "fish stew", "apple cake", "pancakes with honey",
          "barley porridge", "mushroom pie", "bread and cheese", "cherry soup", "hot chestnuts", "gingerbread"]
DRINKS = ["cider", "hot milk", "elderberry juice", "peppermint tea", "lemonade", "mulled wine", "buttermilk"]
