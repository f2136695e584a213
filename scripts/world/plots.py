"""The plots: each a function that tells one story into a Tale and keeps its facts straight.

A plot fixes its facts first (who, what, where, when, how many) and then reports them, asks about them and refers
back to them, so that late words can be predicted only by who remembers early ones.
"""
import lexicon as lex
from tale import PEOPLE, PLACES, Tale, direction, listing, number, route

PLOTS = []


def plot(function):
    """Registers a plot."""
    PLOTS.append(function)
    return function


def adult(person):
    return not person.child


def child(person):
    return person.child


def opening(t, role="A"):
    """Day, season, weather, and who the story is about."""
    person = t.names[role]
    t.set(who=person, day=t.dayname(), season=t.season, sign=t.dice.pick(lex.SEASON_SIGNS[t.season]),
          sky=t.weather[1], effect=t.weather[2])
    t.say("It was a {day} in {season}, and {sign}.", "One {day} in {season}, {sign}.",
          "{sky}, and {effect}. It was {day}.", "On a {day} in {season} [this happened|something strange happened|our story begins]: "
          "{sign}, and {effect}.", "{sky}, and {effect}. It was {season}, and {sign}.",
          "[Once|Long ago|Not long ago|Some years ago], on a {day} in {season}, {effect}. {sky}.")
    t.say("{who} the {who.trade} was {who.doing} {who.home.at}.",
          "{who}, {who.a} of {who.years}, had just finished {who.other_doing}.",
          "{who} the {who.trade}, who {who.habit}, stood {who.home.at}, where {who.home.sight}.",
          "In the village of Elderwick lived {who.a} [named|called] {who}, who {who.saying}.",
          "{who} lived {who.home.at}, where {who.home.sight}. Everyone knew that the {who.trade} {who.habit}.",
          "{who} was {who.years} years old and {who.saying}.")
    if person.pet and t.dice.chance(0.3):
        t.say("{who.his} {who.kind} {who.petname} [sat beside {who.him}|followed {who.him} everywhere|slept in a corner|"
              "watched {who.him} with one eye].", "Beside {who.him} lay {who.petname}, {who.his} old {who.kind}.")


def walk(t, role, start, end):
    """A way over the map: direction and the places in between are true to it."""
    passed = route(start, end)
    t.set(who=t.names[role], start=start, end=end, towards=direction(start, end),
          passed=listing(str(p) for p in passed))
    if passed and t.dice.chance(0.7):
        t.say("{who} [went|walked|hurried] {towards} from {start} to {end}, past {passed}.",
              "{who} set out for {end}, which lies {towards} of {start}, and [came|passed] by {passed} on the way.",
              "The way from {start} to {end} leads {towards}, past {passed}, and {who} [knew it well|walked it quickly|did not stop once].")
    else:
        t.say("{who} [went|walked|hurried|ran] {towards} to {end}.",
              "{who} left {start} and [went|turned] {towards}, to {end}.",
              "So {who} went from {start} to {end}, which lies to the {towards}.")
    if t.dice.chance(0.35):
        t.say("There {end.sight}.", "{end.at}, {end.sight}.")


def weather_turn(t):
    """A sentence of weather with a consequence."""
    t.set(sky=t.weather[1], effect=t.weather[2], stuff=t.weather[3], sign=t.dice.pick(lex.SEASON_SIGNS[t.season]))
    t.say("Because of the {stuff}, the [way|road|walk] took twice as long as usual.", "All the while {sign}.",
          "Outside, {effect}.", "It was {season}, after all, and {sign}.",
          "The {stuff} did not [stop|bother|frighten] [anyone|the geese] that day.")


def gossip(t):
    """A side remark that has nothing to do with the matter."""
    t.set(rumour=t.dice.pick(lex.GOSSIP), proverb=t.dice.pick(lex.PROVERBS), dish=t.dice.pick(lex.DISHES),
          drink=t.dice.pick(lex.DRINKS))
    t.say("People were saying that {rumour}.", "That week the whole village whispered that {rumour}.",
          "At noon there was {dish} with {drink}.", "From a kitchen came the smell of {dish}.",
          "There was a rumour that {rumour}, but [nobody believed it|only the children believed it|that is another story].",
          "An old saying goes: {proverb}.")


def moral(t):
    """One of the ways to close."""
    t.set(proverb=t.dice.pick(lex.PROVERBS), dish=t.dice.pick(lex.DISHES), drink=t.dice.pick(lex.DRINKS))
    t.say("And [so it is|they say] to this day: {proverb}.", "In the evening there was {dish} and {drink} for everyone.",
          "{proverb}, as [Quentin the bookbinder|the old people|Johanna the midwife] would say.",
          "Then they all sat down to {dish} with {drink}.", "Since that day they say in Elderwick that {proverb}.",
          "That night everyone slept [soundly|well|until the bells rang], and even the [wind|owl|dogs] kept quiet.")


def ask(t, who, question, whom, answer):
    """Question and answer in two lines; roles are names of people."""
    t.set(asker=t.names[who], asked=t.names[whom])
    t.line(f'"{question}" asked {{asker}}.', f'{{asker}} asked: "{question}"',
           f'"{question}" {{asker}} [wanted to know|asked softly|asked].')
    t.line(f'"{answer}," [said|answered|replied] {{asked}}.', f'"{answer}," said the {{asked.trade}}.',
           f'{{asked}} [thought for a moment|nodded|smiled|sighed|looked up]. "{answer}."')


def times(t, after, name="later"):
    """A weekday some days ahead, spoken of as the promise of the story."""
    t.set(**{name: t.dayname(after), "span": number(after)})


@plot
def lost(t):
    """Something is lost, looked for in the wrong places, and found where it was left."""
    a, b, x = t.cast("A"), t.cast("B"), t.thing("X")
    spot = t.place("spot", a.home, b.home)
    wrong = t.place("wrong", a.home, b.home, spot)
    opening(t)
    t.say("{A} [owned|had|treasured] {X.a}, [a gift from|which had once belonged to] {A.his} [grandmother|grandfather|godmother|old aunt].",
          "Of all {A.his} things {A} loved {X.a} most.")
    t.say("In the morning {A.he} took it along and rested for a while {spot.at}, where {spot.sight}.",
          "Early that day {A.he} had stopped {spot.at} to [tie a shoe|drink some water|listen to the birds], with {X} under one arm.")
    t.say("But when {A.he} came home at noon, {X} was gone.", "At noon {A} reached for {X}, and it was not there.")
    t.say("{A} searched {A.home.at}, under the [bed|table|bench] and behind the [stove|door|curtain], [but found only dust|in vain].",
          "{A} turned out every pocket and every drawer, but {X} was nowhere.")
    walk(t, "A", a.home, wrong)
    t.say("But {X} was not {wrong.at} either.", "{A.he} looked everywhere {wrong.at}, but there was no {X.noun}.")
    walk(t, "A", wrong, b.home)
    ask(t, "B", "Where did you rest this morning?", "A", "{spot.at}, where {spot.sight}")
    t.line('"Then your {X.noun} is still {spot.at}," said {B}.', '"Then let us look {spot.at}," said {B}, "for things stay where we leave them."')
    t.say("Together they went to {spot}.", "So they walked to {spot}, side by side.")
    t.say("And [indeed|truly|sure enough], there lay {X}, [wet with dew|safe and sound|between two stones|under a leaf].",
          "There it was: {X.a}, [a little dusty|wet but whole|guarded by a snail].")
    if t.dice.chance(0.5):
        t.say("{A} thanked {B} and promised [a kiss|a cake|a song] in return.", "{A} was so glad that {A.he} hugged the {B.trade}.")
    t.say("From then on {A} tied {X} to {A.his} [belt|wrist] with a string, and whenever {A.he} passed {spot}, {A.he} [smiled|checked the knot|laughed].",
          "And since that {day} {A} never again rested {spot.at} without counting {A.his} things.")
    moral(t)


@plot
def borrowed(t):
    """A tool is borrowed with a promise of a day, and the promise is kept or broken."""
    a, b = t.cast("A"), t.cast("B", adult)
    t.thing("X", lex.TOOLS)
    days = t.dice.between(2, 5)
    times(t, days)
    kept = t.dice.chance(0.6)
    c = t.cast("C", lambda p: p.trait in ("wise", "kind", "honest", "clever", "patient"))
    opening(t)
    t.say("That day {A} needed something that {A.he} did not have: {X.a}.", "[For a certain task|For the next day's work] {A} had no {X.noun}.")
    walk(t, "A", a.home, b.home)
    ask(t, "A", "May I borrow your {X.noun}?", "B", "Yes, but bring it back in {span} days, on {later}")
    t.line('"I promise," said {A}. "On {later} you will have it again."', '"On {later}, without fail," said {A}.')
    t.say("{A} carried {X} home and [used it well|worked with it from morning until night|cleaned it every evening].",
          "So {X} stood {A.home.at} instead of {B.home.at}.")
    if kept:
        t.say("{span} days went by, and {later} came.", "The days passed quickly, and soon it was {later}.")
        weather_turn(t)
        t.say("But a promise is a promise, and {A} took {X} and set out.", "Still {A} remembered the promise and picked up {X}.")
        walk(t, "A", a.home, b.home)
        t.line('"It is {later}, and here is your {X.noun}," said {A}.', '"Here is your {X.noun}, as I promised," said {A}.')
        t.set(dish=t.dice.pick(lex.DISHES))
        t.say("{B} was [pleased|delighted|moved] and [offered|gave] {A.him} {dish}. \"You may borrow it again,\" said the {B.trade}.",
              "{B} looked at {X} from all sides and found not a single scratch. \"Whoever keeps a promise may always come again,\" said the {B.trade}.")
    else:
        t.say("{later} came and went, but {A} forgot the promise.", "But on {later} {A} was {A.other_doing} and did not think of {X}.")
        t.say("{B} waited {B.home.at} until dark and grew angry.", "{B} needed {X} that very evening and could not find it.")
        t.say("Then {C} came to {A} and shook {C.his} head.", "On the way home {B} met {C}, who went straight to {A}.")
        ask(t, "C", "What did you promise {B}?", "A", "To bring back {X} on {later}")
        t.say("{A} turned red as a beet and ran to {B.home} with {X}.", "{A} was ashamed, took {X} and ran all the way to {B.home}.")
        t.line('"Forgive me," said {A}. "I am late, and I am sorry."', '"I forgot that it was {later}," said {A}. "It will not happen again."')
        t.say("{B} took {X}, was silent for a while and then forgave {A.him}.")
    moral(t)


@plot
def market(t):
    """Goods are sold piece by piece; what is left and what was earned is counted."""
    a, b, c = t.cast("A"), t.cast("B"), t.cast("C")
    one, many, price = t.dice.pick(lex.GOODS)
    total, first = t.dice.between(7, 16), t.dice.between(1, 4)
    second = t.dice.between(1, total - first - 2)
    second = min(second, 5)
    left, coins = total - first - second, (first + second) * price

    def goods(n):
        return f"{number(n)} {one if n == 1 else many}"

    t.set(all=goods(total), first=goods(first), second=goods(second), left=goods(left), mid=goods(total - first),
          coins=number(coins) + (" penny" if coins == 1 else " pennies"), many=many, one=one,
          price=number(price) + (" penny" if price == 1 else " pennies"),
          pay=number(first * price) + (" penny" if first * price == 1 else " pennies"),
          pay2=number(second * price) + (" penny" if second * price == 1 else " pennies"),
          nleft=number(left), market=PLACES["market square"])
    opening(t)
    t.say("{A} had {all} to sell, each for {price}.", "{A.he} packed {all} into a [basket|cart|crate] and wanted {price} for each.")
    if a.home is not PLACES["market square"]:
        walk(t, "A", a.home, PLACES["market square"])
    if t.dice.chance(0.4):
        gossip(t)
    t.say("The first customer was {B} the {B.trade}, who bought {first} and paid {pay}.",
          "{B} the {B.trade} came first. {B.he} took {first} and counted out {pay}.")
    ask(t, "C", "How many {many} have you left?", "A", "I had {all} and sold {first}, so there are {mid}")
    t.say("Then {C} the {C.trade} bought {second} for {pay2}.", "{C} chose {second} and laid {pay2} on the table.")
    if t.dice.chance(0.5):
        t.say("At that moment a [goat|dog|gust of wind] knocked over the [stall|table|bench], but nothing was broken.",
              "A goose snapped at the {many}, but {A} was faster.")
    t.say("In the evening {A} counted: {left} had not been sold, and in the purse there were {coins}.",
          "When the bells rang, {A} had {coins} in the purse and {left} in the basket.")
    ending = t.dice.between(0, 2)
    if ending == 0 and left > 1:
        half = left // 2
        t.set(gift=goods(half), rest=goods(left - half))
        d = t.cast("D", child)
        t.say("On the way home {A.he} met {D}, who looked [hungry|sad|tired]. {A} gave {D.him} {gift} and kept {rest}.")
    elif ending == 1:
        t.thing("X")
        t.say("With the {coins} {A.he} bought {X.a}, and the {left} {A.he} kept for supper.")
    else:
        t.say("\"Tomorrow I shall sell the rest,\" said {A} and went home [whistling|singing|content].")
    moral(t)


@plot
def letter(t):
    """A letter to a relative is written, carried, read and answered."""
    a = t.use("A", t.dice.pick([p for p in PEOPLE.values() if any(k[1].name != "Cecily" for k in p.kin) and p.name != "Cecily"]))
    word, b = t.dice.pick([k for k in a.kin if k[1].name != "Cecily"])
    t.use("B", b)
    carrier = t.use("C", PEOPLE["Cecily"])
    town = t.dice.pick(["Northhaven", "Silverford", "Kingsbridge", "Greywater", "Applecross", "Ravenport"])
    n1, n2, n3 = t.dice.sample(lex.NEWS, 3)
    t.thing("X")
    wait = t.dice.between(2, 6)
    times(t, wait)
    t.set(word=word, town=town, n1=n1, n2=n2, n3=n3, season=t.season, wish=t.dice.pick(lex.WISHES))
    opening(t)
    t.say("{A} had not seen {A.his} {word} {B} for [three weeks|a month|many days], for {B} was working in {town}.",
          "{B}, {A.his} {word}, had gone to {town}, and the house was quiet.")
    t.say("So {A} took [a pen|a sheet of paper|ink and paper] and wrote:")
    t.line("Dear {B},")
    t.line("here in Elderwick {n1}, and {n2}. [I miss you|We all miss you|Your bed is made]. Please bring me {X.a} from {town}. When will you come home?",
           "you must know that {n1}. Besides, {n2}. [Nothing else is new|The rest I will tell you myself]. I need {X.a}, which can only be bought in {town}. On what day will you return?")
    t.line("Your {A}", "With love, {A}", "Yours, {A}")
    t.say("{C} the postwoman put the letter into her satchel and rode to {town} on {C.petname}, her pony.",
          "{C}, who {C.habit}, carried the letter to {town} the same day.")
    t.say("{B} read it twice and [laughed|wept a little|smiled] because {n1}.")
    t.say("The answer came the next morning:", "Soon {C} brought back an answer:")
    t.line("Dear {A},", "My dear {A},")
    t.line("[thank you for your letter|your letter made me glad]. I have bought the {X.noun}, and here {n3}. I will come on {later}. I wish you {wish}.",
           "I am well, and in {town} {n3}. The {X.noun} is already in my bag. Expect me on {later}.")
    t.line("Your {B}", "With love, {B}")
    t.say("On {later} {A} [baked a cake|swept the floor|lit every candle] and waited at the gate.",
          "So when {later} came, {A} stood {A.home.at} from early morning.")
    weather_turn(t)
    t.say("At last {B} came [up the road|round the corner|out of the coach] and held out {X.a}.",
          "Then the door opened, and there stood {B} with {X} in {B.his} hand.")
    t.line('"Is it true that {n1}?" asked {B}. "Come and see," said {A}.', '"You remembered!" cried {A}. "You asked me in your letter," said {B}.')


@plot
def rescue(t):
    """An animal is stuck somewhere; it takes two and a tool to save it."""
    a, b = t.cast("A"), t.cast("B")
    spot = t.place("spot", a.home, b.home)
    animal = t.dice.pick(lex.ANIMALS)
    t.thing("X", ["ladder", "basket", "blanket", "bucket", "sledge", "lantern", "cloak", "scarf"])
    name = t.dice.pick(["Lucky", "Feather", "Pudding", "Sunday", "Whisper", "Nutmeg", "Barley", "Domino"])
    t.set(animal=animal, sound=lex.SOUNDS[animal], an=("an " if animal[0] in "o" else "a ") + animal, pet=name)
    opening(t)
    walk(t, "A", a.home, spot)
    t.say("Suddenly {A.he} heard [a faint|a strange|a sad] sound. It was {an}, {sound} [in a deep ditch|in a crack between the rocks|under a fallen tree|on a ledge].",
          "There {A.he} stopped, because something was {sound}. {an} had [slipped into a hole|been caught in the thorns|sunk into the mud].")
    t.say("{A} tried to reach it, but {A.his} arms were too short.", "{A} pulled and pulled, but the {animal} only grew more frightened.")
    t.line('"Wait here, little one," said {A}. "I will fetch {B}."', '"I cannot do this alone," said {A}, "but the {B.trade} will help."')
    walk(t, "A", spot, b.home)
    ask(t, "B", "What has happened?", "A", "There is {an} in trouble {spot.at}. Bring your {X.noun}")
    weather_turn(t)
    t.say("{B}, who {B.habit}, took {X} at once, and they ran back to {spot}.", "{B} was {B.doing}, but dropped everything, grabbed {X} and followed {A}.")
    t.say("{A} held {X}, and {B} [climbed down|lay flat on the ground|reached out], and after [three tries|a long time|a hard struggle] the {animal} was free.",
          "With the help of {X} they lifted the {animal} out, first the head, then the [feet|tail|rest].")
    t.say("It was [cold|thirsty|trembling], so {A} wrapped it in {A.his} [coat|shawl|jacket].", "It shook itself and licked {B} on the nose.")
    ask(t, "B", "What shall we call it?", "A", "{pet}, I think")
    t.say("{pet} stayed {A.home.at} until it was strong, and then [it would not leave|it ran free again|it came back every {season}].",
          "Today {pet} lives {B.home.at}, and whenever {A} comes by, the {animal} stops {sound} and comes running.")
    if t.dice.chance(0.4):
        moral(t)


@plot
def birthday(t):
    """Guests bring presents; the number of years and who brought what come back at the end."""
    a = t.cast("A")
    guests = [t.cast(r) for r in "BCD"]
    things = [t.thing(r) for r in "XYZ"]
    t.set(next=number(a.age + 1), dish=t.dice.pick(lex.DISHES), drink=t.dice.pick(lex.DRINKS))
    opening(t)
    t.say("Until yesterday {A} had been {A.years}. Today {A.he} turned {next}.", "It was {A.his} birthday: {A} was {A.years} no longer, but {next}.")
    t.say("The table was set with {dish} and {drink}.", "[Already at noon|From early morning] the house smelled of {dish}.")
    t.say("First came {B} the {B.trade} and brought {X.a}.", "{B} was the first guest, with {X.a} under {B.his} arm.")
    t.say("Then {C} [knocked|came in], {C.a}, and gave {A.him} {Y.a}.", "After {B} came {C}, who {C.habit}, and brought {Y.a}.")
    t.say("Last of all {D} arrived [from|all the way from] {D.home} with {Z.a}.", "{D} came last, out of breath, and [unwrapped|held out] {Z.a}.")
    if t.dice.chance(0.5):
        gossip(t)
    t.say("They [ate|feasted], [sang|danced|laughed] and drank {drink} until the [stars came out|candles had burned down|moon rose].")
    order = t.dice.sample(list(zip(guests, things)), 2)
    for guest, thing in order:
        t.set(G=guest, T=thing)
        ask(t, "A", t.dice.pick(["Who gave me {T}?", "Whose present is {T}?"]), guest_role(t, guest), t.dice.pick(["I did", "It is mine, or rather yours now"]))
    t.say("That night {A} [lay awake|could not sleep] and thought: the {X.noun} from {B}, the {Y.noun} from {C} and the {Z.noun} from {D}. What a way to become {next}!",
          "In bed {A} counted once more: {X} from {B}, {Y} from {C}, {Z} from {D}. \"I shall never be {A.years} again,\" {A.he} murmured and fell asleep.")


def guest_role(t, person):
    """The role that a person plays in this tale."""
    return next(role for role, held in t.names.items() if held is person)


@plot
def riddles(t):
    """Three riddles in a contest, a prize that changes hands."""
    a, b = t.cast("A"), t.cast("B", lambda p: p.trait in ("wise", "clever", "sly", "proud", "boastful", "curious", "silent"))
    x = t.thing("X")
    chosen = t.dice.sample(lex.RIDDLES, 3)
    times(t, t.dice.between(2, 5))
    opening(t)
    walk(t, "A", a.home, b.home) if a.home is not b.home else gossip(t)
    t.say("{B}, {B.a}, was sitting {B.home.at} with {X.a} on {B.his} knees.", "There sat {B} the {B.trade}, polishing {X.a}.")
    t.line('"If you guess my riddles, {X} is yours," said {B}. "If not, you must work for me until {later}."',
           '"Three riddles for one {X.noun}," said {B}. "Will you try?"')
    solved = 0
    for i, (riddle, answer) in enumerate(chosen):
        t.set(riddle=riddle, answer=answer, nth=lex.ORDINALS[i])
        t.line('"{riddle}," [said|began|went on] {B}. "What am I?"', '{B} [smiled|raised a finger]. "{riddle}. Who am I?"',
               'The {nth} riddle was this: "{riddle}."')
        if i < 2 or t.dice.chance(0.6):
            solved += 1
            t.line('"You are {answer}," said {A}.', '"That must be {answer}!" cried {A}.', '{A} [thought hard|closed {A.his} eyes|scratched {A.his} ear]. "It is {answer}."')
        else:
            t.line('"I do not know," said {A} at last. "It was {answer}," said {B}.')
    if solved == 3:
        t.say("All three answers were right, and so {X} went from {B} to {A}.", "{B} [laughed|sighed] and handed over {X}. \"You have earned it,\" said the {B.trade}.")
        t.say("{A} carried {X} home and still asks everyone about {answer}.", "To this day {X} stands {A.home.at}.")
    else:
        t.say("Two answers out of three were right, and so {X} stayed with {B}.", "So {B} kept {X}, but gave {A} a [pear|bun|friendly pat on the back].")
        t.say("But {A} never forgot the answer, and when somebody in the village spoke of {answer}, {A.he} blushed.")


@plot
def magpie(t):
    """A shining thing is gone, the wrong person is blamed, a bird did it."""
    a, b, c = t.cast("A"), t.cast("B"), t.cast("C", lambda p: p.trait in ("clever", "curious", "honest", "wise", "careful", "brave"))
    x = t.thing("X", lex.SHINY)
    spot = t.place("spot", a.home, b.home)
    bird = t.dice.pick(["magpie", "jackdaw", "crow"])
    t.set(bird=bird)
    opening(t)
    t.say("On the windowsill {A.home.at} lay {X.a}, and the sun made it shine.", "{A} had polished {X.a} and laid it on the windowsill to dry.")
    t.say("{B} the {B.trade} came by, [asked the time|borrowed some salt|said good morning], and went on.", "Only {B} came to the house that morning, to [bring the milk|borrow a cup of sugar].")
    t.say("An hour later {X} had vanished.", "When {A} looked again, the windowsill was empty.")
    t.line('"You have stolen my {X.noun}!" [shouted|cried] {A}. "I have stolen nothing," said {B}.',
           '"Only {B} was here," said {A}, "so {B} must have {X}."')
    t.say("{B} was so [hurt|angry] that {B.he} did not speak to {A} any more.", "Soon half the village looked at {B} from the side.")
    t.say("But {C}, who {C.saying}, did not believe it.", "{C} the {C.trade} [doubted it|wanted proof].")
    ask(t, "C", "Where was the {X.noun} when you saw it last?", "A", "On the windowsill, in the sun")
    t.say("{C} found [a black feather|a white feather|the print of a small claw] there and [looked up|began to think].")
    walk(t, "C", a.home, spot)
    t.say("High up in [a poplar|an elm|a pine] there was a nest, and in it lay {X}, next to [a glass bead|a fish hook|two nails|a spoon without a handle].",
          "A {bird} flew up, screaming. In its nest {C.he} found {X} among [bits of foil|buttons and shells|broken glass].")
    t.line('"Here is your {X.noun}," said {C}. "The thief has wings."', '"The {bird} took it, not {B}," said {C}.')
    walk(t, "A", a.home, b.home) if a.home is not b.home else weather_turn(t)
    t.line('"I was wrong about you," said {A}. "Please forgive me."', '"I called you a thief, and it was a {bird}," said {A}. "I am sorry."')
    t.set(dish=t.dice.pick(lex.DISHES))
    t.say("{B} [was silent for a moment|frowned, then laughed] and took the hand that {A} held out.", "{B} forgave {A.him} over a plate of {dish}.")
    t.say("Since then {A} keeps {X} in a drawer, and the {bird} [scolds|waits in vain].", "And on the windowsill there is now a [pebble|walnut], for the {bird}.")


@plot
def trades(t):
    """A chain of swaps that must be followed backwards and then unwinds forwards."""
    a, b, c, d = (t.cast(r) for r in "ABCD")
    w, x, y, z = (t.thing(r) for r in "WXYZ")
    opening(t)
    t.say("{A} wanted nothing so much as {X.a}, and {A.he} had only {W.a}.", "All {A} owned was {W.a}, but {A.his} heart longed for {X.a}.")
    t.say("Just such a thing belonged to {B} the {B.trade}.", "{B} the {B.trade} had one.")
    walk(t, "A", a.home, b.home) if a.home is not b.home else weather_turn(t)
    ask(t, "A", "Will you give me {X}?", "B", "Only for {Y.a}")
    t.say("One like that could be had from {C}.", "{C} the {C.trade} was said to have one.")
    walk(t, "A", b.home, c.home) if b.home is not c.home else gossip(t)
    ask(t, "A", "Will you part with {Y}?", "C", "If you bring me {Z.a}, gladly")
    t.say("[Tired but hopeful|Without losing heart|With a sigh], {A} went on to {D}, who owned {Z.a}.")
    ask(t, "D", "What do you offer me for {Z}?", "A", "I have nothing but {W.a}")
    t.line('"That is just what I [need|have been looking for]!" cried {D}.')
    t.say("So {D} got {W} and {A} got {Z}.", "{D} took {W} and handed {A} {Z}.")
    t.say("Back {A} went to {C}, gave {C.him} {Z} and received {Y}.", "{C} kept {C.his} word: {Z} for {Y}.")
    t.say("And at last, {B.home.at}, {Y} was exchanged for {X}.", "Then {A} laid {Y} before {B}, and {B} gave up {X}.")
    t.say("In the evening {D} had {W}, {C} had {Z}, {B} had {Y} and {A} had {X}, and [nobody had paid a penny|all four were happy|all were content].",
          "Who had {W} now? {D}. Who had {Z}? {C}. And {Y}? {B}. But {X} was {A.home.at}, and {A} looked at it until {A.he} fell asleep.")


@plot
def lessons(t):
    """An apprenticeship: two failures, a reason, and success."""
    a = t.cast("A", lambda p: p.age < 30)
    b = t.cast("B", lambda p: p.age > 30 and p.trade not in ("storyteller", "teacher"))
    reason, present, cure = t.dice.pick([
        ("hurried too much", "hurry too much", "Count to twenty before each step"), ("did not listen", "do not listen", "Listen first and work afterwards"),
        ("used too little water", "use too little water", "Add one more cup of water"), ("held the tool too tightly", "hold the tool too tightly", "Hold it like a small bird"),
        ("was thinking of supper", "are thinking of supper", "Eat first, then work"), ("had not slept", "have not slept", "Go to bed before the owls get up"),
        ("was afraid of making a mistake", "are afraid of making a mistake", "Make your mistakes cheerfully")])
    days = [number(n) for n in t.dice.sample(range(2, 12), 1)]
    t.set(reason=reason, present=present, cure=cure, spell=days[0], fault1=t.dice.pick(["crooked", "too small", "much too heavy", "full of holes"]),
          fault2=t.dice.pick(["worse than before", "cracked down the middle", "black on one side", "fit only for the stove"]))
    opening(t)
    t.say("{A} wished to learn the craft of {B} the {B.trade}.", "{A} wanted to [know|learn] how one makes {B.products}.")
    walk(t, "A", a.home, b.home) if a.home is not b.home else gossip(t)
    ask(t, "A", "Will you teach me?", "B", "Stay for {spell} days, and we shall see")
    t.say("On the first day {A} spent the morning {B.doing} and the afternoon {B.other_doing}.",
          "{A} learned to use the {B.tool}, and {A.his} hands grew [sore|black|rough].")
    t.say("The first try was {fault1}, and {B} shook {B.his} head.", "What {A} made first was {fault1}.")
    t.say("The second was {fault2}.", "The next one was {fault2}, and {A} nearly [cried|gave up].")
    ask(t, "A", "What am I doing wrong?", "B", "You {present}. {cure}")
    t.say("{A} remembered these words, and the third attempt [succeeded|was good|was as smooth as an egg].", "{A} did as the {B.trade} said. And look, the third time everything went well.")
    t.say("After {spell} days {B} [shook {A.his} hand|gave {A.him} an apron|praised {A.him} before the whole village].",
          "When the {spell} days were over, {B} let {A.him} keep what {A.he} had made.")
    ask(t, "B", "And why did you fail at first?", "A", "Because I {reason}")
    moral(t)


@plot
def errands(t):
    """A messenger carries three messages to three houses and gets three answers."""
    a = t.cast("A", lambda p: p.trade in ("postwoman", "schoolgirl", "schoolboy", "apprentice", "peddler", "goatherd", "sailor"))
    sender = t.cast("S", lambda p: p.home is not a.home)
    roles = "BCD"
    people = [t.cast(r, lambda p: p.home is not sender.home) for r in roles]
    while len({p.home for p in people}) < 3:
        for p in people:
            t.used_names.discard(p.name)
        people = [t.cast(r, lambda p: p.home is not sender.home) for r in roles]
    messages = t.dice.sample([
        ("the choir meets on {d}", "I shall sing the low part"), ("the debt is paid", "I had already forgotten it"),
        ("the feast begins at {n}", "I will bring the cups"), ("the wagon needs a new wheel", "It will be ready by {d}"),
        ("the boat sails on {d}", "Then I must pack my trunk"), ("the hens have escaped again", "They are all in my kitchen"),
        ("the doctor wants {n} lemons", "I have only half of that"), ("the clock must be wound at {n}", "I never forget that"),
        ("the cheese was excellent", "There is more in the cellar"), ("the roof is leaking", "I will come with a ladder")], 3)
    opening(t)
    t.say("{S} the {S.trade} called {A} and gave {A.him} three messages.", "That morning {S} needed a messenger, and {A} was quick on {A.his} feet.")
    filled = []
    for (text, answer), role in zip(messages, roles):
        slots = {"d": t.dayname(t.dice.between(1, 5)), "n": number(t.dice.between(4, 11))}
        filled.append((text.format(**slots), answer.format(**slots)))
        t.set(**{"m" + role: filled[-1][0], "r" + role: filled[-1][1]})
    t.line('"Tell {B} that {mB}, tell {C} that {mC}, and tell {D} that {mD}," said {S}.')
    t.say("{A} repeated everything twice and ran.", "{A}, who {A.habit}, said the words over and over on the way.")
    here = sender.home
    for person, role in zip(people, roles):
        walk(t, "A", here, person.home)
        here = person.home
        t.set(P=person, m=t.names["m" + role], r=t.names["r" + role])
        t.line('"{m}," said {A} to {P}. "{r}," [said|answered] the {P.trade}.', '{P} was {P.doing}. "{S} says that {m}," said {A}. "{r}," was the answer.')
    walk(t, "A", here, sender.home)
    i = t.dice.between(0, 2)
    t.set(P=people[i], r=filled[i][1])
    ask(t, "S", "And what did {P} say?", "A", "{r}")
    t.say("{S} gave {A} [a penny|three pennies|a warm bun] for each message.", "{S} was content, and {A} [slept well that night|had earned a supper].")


@plot
def mending(t):
    """A thing is broken, mended for a price in kind, and broken or kept."""
    a = t.cast("A")
    b = t.cast("B", lambda p: p.trade in ("carpenter", "smith", "clockmaker", "potter", "tailor", "cobbler", "glassblower", "weaver"))
    owner = t.cast("C")
    x = t.thing("X")
    n = t.dice.between(2, 9)
    days = t.dice.between(1, 5)
    times(t, days)
    t.set(fee=f"{number(n)} {a.products}", n=number(n), how=t.dice.pick(["fell from the table", "slipped to the floor", "was trodden on by a cow", "rolled down the stairs"]))
    opening(t)
    t.say("{A} was looking after {X.a} that belonged to {C} the {C.trade}.", "In the house there was {X.a}. It was not {A.hers}: {C} had left it there.")
    t.say("Then {X} {how} and broke.", "One careless step, and {X} {how}. It was broken.")
    t.say("{A} [turned pale|sat down on the floor|held {A.his} breath]. What would {C} say?", "{A} gathered the pieces and thought of {C}, who {C.habit}.")
    walk(t, "A", a.home, b.home) if a.home is not b.home else weather_turn(t)
    ask(t, "A", "Can you mend this {X.noun} for me?", "B", "It will be ready on {later}, and it will cost you {fee}")
    t.say("{A} agreed and went home to [earn|get ready] the {fee}.", "It was a high price, but {A} nodded.")
    if t.dice.chance(0.5):
        t.say("In the meantime {C} came and asked for the {X.noun}. \"You will have it on {later},\" said {A} and [looked at the floor|swallowed].")
    t.say("On {later} {A} brought the {fee}, and {B} brought out {X}. One could hardly see the crack.", "{later} came. {B} took the {fee} and gave back {X}, as good as new.")
    t.say("Then {A} carried it to {C} and told the whole truth.", "{A} brought {X} to {C.home} and confessed everything.")
    ask(t, "C", "Who mended it?", "A", "{B} the {B.trade}, for {fee}")
    t.say("{C} [laughed|was touched] and said that an honest friend was worth more than a whole {X.noun}.",
          "{C} was angry for as long as it takes to eat an apple. Then {C.he} shook {A.his} hand.")
    if t.dice.chance(0.4):
        moral(t)


@plot
def school(t):
    """Sums, weekdays and the map at the village school; the answers are right."""
    a = t.use("T", PEOPLE["Niels"])
    kids = [t.cast(r, child) for r in "ABC"]
    t.thing("X")
    opening(t, t.dice.pick("AT"))
    t.say("At school {T} the teacher wrote {day} on the board and looked for [the chalk|a hat that was on {T.his} head].",
          "{T} rang the bell, and the children {T.home.at} sat down.")
    one, many, price = t.dice.pick(lex.GOODS)
    p, q = t.dice.between(2, 9), t.dice.between(2, 8)
    far = t.dice.between(2, 6)
    start, end = t.dice.sample(list(PLACES.values()), 2)
    person = t.dice.pick([k for k in PEOPLE.values() if k.home.name not in ("school",)])
    minus = t.dice.between(1, p)
    left = p + q - minus
    tasks = [
        (f"If I have {number(p)} {many} and you give me {number(q)} more, how many have I?", f"You have {number(p + q)}"),
        (f"Today is {t.dayname()}. What day will it be in {number(far)} days?", t.dayname(far)),
        (f"In which direction does {end} lie from {start}?", f"To the {direction(start, end)}"),
        (f"Who lives {person.home.at} and {person.habit}?", f"{person} the {person.trade}"),
        (f"What do {number(q)} {many} cost if each costs {number(price)} {'penny' if price == 1 else 'pennies'}?", f"{number(q * price)} pennies"),
        (f"I bake {number(p + q)} pies and the dog eats {number(minus)}. How many are left?", "Only one" if left == 1 else f"{number(left)} pies"),
        (f"What comes before {number(q + 3)}?", number(q + 2)), (f"What colour was the {t.names['X'].noun} that I showed you?", None),
        (f"How old will {person} be next year?", number(person.age + 1)),
    ]
    t.say("On the desk stood {X.a}, and {T} [held it up|showed it to everyone|let them touch it].", "{T} had brought {X.a} for the best pupil.")
    who = 0
    for question, answer in t.dice.sample(tasks, 4):
        answer = answer or str(t.names["X"].colour)
        kid = kids[who % 3]
        who += 1
        t.set(K=kid)
        ask(t, "T", question, guest_role(t, kid), answer)
        if t.dice.chance(0.4):
            t.say("\"[Right|Correct|Very good],\" said {T}.", "{T} nodded.", "The others [clapped|whispered|were astonished].")
    t.set(K=kid)
    t.turn()
    t.say("{K} had given the last answer and was allowed to carry {X} home.", "In the end the prize went to {K}, because the last question had been the hardest.")
    t.say("The others [got a nut each|were not jealous|threw chestnuts all the way home].", "Then the bell rang, and {T} could not find {T.his} spectacles.")


@plot
def hiding(t):
    """Hide and seek: the hiding places are told first and found in another order."""
    seeker = t.cast("A", child)
    kids = [t.cast(r, child) for r in "BCD"]
    places = [t.place(r, seeker.home) for r in "UVW"]
    while len(set(places)) < 3:
        places = [t.place(r, seeker.home) for r in "UVW"]
    n = t.dice.between(2, 5) * 10
    t.set(count=number(n))
    opening(t)
    t.line('"Let us play hide and seek!" [said|cried] {A}. "I will count to {count}."')
    t.say("{B} ran to {U}, {C} chose {V}, and {D} crept away to {W}.", "{B} hid {U.at}. {C} hid {V.at}. And {D} hid {W.at}, where {W.sight}.")
    t.say("{A} counted to {count} and opened {A.his} eyes.", "At {count} {A} called: \"I am coming!\"")
    weather_turn(t)
    here, pairs = seeker.home, t.dice.sample(list(zip(kids, places)), 3)
    for i, (kid, place) in enumerate(pairs[:2]):
        walk(t, "A", here, place)
        here = place
        t.set(F=kid)
        t.say("{F} was found, because [a shoe was showing|{F.he} had to sneeze|{F.he} giggled].", "Behind [a barrel|a pile of wood|a bush] sat {F}. \"Found you!\" said {A}.")
    t.set(F=kids[0] if pairs[2][0] is kids[0] else pairs[2][0], L=pairs[2][1], P1=pairs[0][0], P2=pairs[1][0])
    t.say("Now only {F} was missing.", "{P1} and {P2} were found, but where was {F}?")
    ask(t, "A", "Did you see where {F} went?", guest_role(t, pairs[1][0]), "I think I heard steps going to {L}")
    walk(t, "A", here, pairs[2][1])
    t.say("There sat {F}, fast asleep.", "And there was {F} indeed, {L.at}, [eating an apple|talking to a beetle|a little bored].")
    t.say("\"You won,\" said {A}. \"Tomorrow you will count.\"", "So {F} was the winner, and everyone went home for supper.")


@plot
def song(t):
    """A poem is asked for, written line by line, and sung."""
    a = t.cast("A", lambda p: p.trade in ("fiddler", "storyteller", "painter", "shepherd", "candle maker", "sailor", "schoolgirl", "bookbinder", "glassblower"))
    b = t.cast("B")
    verses = t.dice.sample(lex.COUPLETS, t.dice.between(2, 3))
    times(t, t.dice.between(1, 5))
    occasion = t.dice.pick(["the wedding", "the harvest feast", "the fair", "the christening", "the lantern procession"])
    t.set(occasion=occasion)
    opening(t)
    t.say("{occasion} was to be held on {later}, and there was still no song for it.", "On {later} was {occasion}, and {B} had asked {A} for a new song.")
    ask(t, "B", "Is the song ready?", "A", "Not yet, but it will be ready by {later}")
    t.say("{A} walked up and down {A.home.at}, [chewing a pencil|humming|counting syllables on {A.his} fingers], and nothing came.",
          "For {span} days {A} wrote and crossed out, wrote and crossed out.")
    weather_turn(t)
    t.say("Then {A.he} heard [the rain on the roof|a blackbird|the bells|the mill wheel], and all at once the words were there:",
          "Suddenly {A.he} jumped up and wrote in one breath:")
    for one, two in verses:
        t.line(one)
        t.line(two)
    t.say("On {later} {A} sang it at {occasion}, and everyone joined in.", "So at {occasion}, on {later}, the whole village sang.")
    first = verses[0][0].rstrip(",;:")
    t.set(first=first)
    ask(t, "A", "Did you like it?", "B", "Very much, above all the beginning: {first}" if not first.endswith((".", "!")) else "Very much")
    if t.dice.chance(0.6):
        moral(t)


@plot
def memory(t):
    """An old person tells of youth: a tale within the tale, with years to be counted."""
    a = t.cast("A", lambda p: p.age > 55)
    b = t.cast("B", child)
    c = t.cast("C", lambda p: 40 < p.age)
    t.thing("X")
    ago = a.age - t.dice.between(8, 20)
    then = a.age - ago
    spot = t.place("spot", a.home)
    t.set(then=number(then), ago=number(ago), wish=t.dice.pick(lex.WISHES))
    opening(t)
    t.say("In a corner {A.home.at} lay {X.a}, and {B} had found it.", "{B} was visiting {A.him} and picked up {X.a}.")
    ask(t, "B", "Where does this {X.noun} come from?", "A", "That is an old story")
    t.line('"I was {then} years old," [began|said] {A}. "It was {ago} years ago. I was [bold|foolish|hungry] then, and I went to {spot}, where {spot.sight}. '
           'There I met {C}, who [wept|laughed|was lost]. We shared our bread, and {C} gave me {X} and wished me {wish}."')
    ask(t, "B", "And did you get {wish}?", "A", t.dice.pick(["Every bit of it", "Not yet, but I am still waiting", "I got something better: a friend"]))
    ask(t, "B", "How old are you now?", "A", "{then} and {ago}, that makes {A.years}")
    t.say("{B} held {X} carefully and [was silent|looked out of the window|asked nothing more].", "{B} turned {X} over in both hands.")
    walk(t, "B", a.home, c.home) if a.home is not c.home else gossip(t)
    t.say("{C} the {C.trade} was {C.doing}. \"Do you remember {A} {spot.at}?\" asked {B}.")
    t.line('"Of course," said {C}. "I gave {A.him} {X.a}."', '{C} laughed. "Does {A} still have {X}? I gave it to {A.him} {spot.at}."')
    t.say("So the story was true, from the first word to the last.", "And {B} ran back to {A.home} and asked for the story once more.")


@plot
def journey(t):
    """A long way with a guide, night in between, and the same way back in reverse."""
    a, b = t.cast("A"), t.cast("B")
    far = PLACES[t.dice.pick(["castle ruin", "lighthouse", "fox's cave", "harbour", "forest lodge", "quarry", "river meadow", "high pasture", "heather hill"])]
    stop = t.place("stop", a.home, far)
    t.thing("X", ["lantern", "compass", "map", "basket", "umbrella", "blanket", "cloak"])
    one, many, price = t.dice.pick(lex.GOODS[:12])
    n = t.dice.between(4, 9)
    eaten = t.dice.between(2, n - 1)
    left = n - eaten
    t.set(far=far, food=f"{number(n)} {many}", eaten=number(eaten), left=f"{number(left)} {one if left == 1 else many}", many=many, why=t.dice.pick(
        ["to see the sunrise", "to look for the treasure of the old king", "to pick cranberries", "to visit a grave", "to hear the famous echo", "to find a healing herb", "to draw a map"]))
    opening(t)
    t.say("{A} and {B} the {B.trade} wanted to go to {far} {why}.", "\"Come with me to {far},\" said {A} to {B}. \"I want {why}.\"")
    t.say("{A} carried {X}, and {B} carried {food}.", "They took {food} along, and {A} hung {X} over {A.his} shoulder.")
    walk(t, "A", a.home, stop)
    t.say("{stop.at} they rested and ate {eaten} of the {many}.", "They grew hungry {stop.at} and ate {eaten} of the {many}.")
    ask(t, "A", "How many {many} are left?", "B", "{left}, if you have not hidden any")
    weather_turn(t)
    walk(t, "A", stop, far)
    t.say("They reached {far} [in the evening|at dusk|by moonlight] and [lit a fire|lay down in the heather|told ghost stories].", "When they arrived, the sun was [setting|low|gone], and {X} was all they had against the night.")
    t.say("[In the night|Towards morning] {B} woke up, for something [rustled|howled|sighed] in the dark. It was only [the wind|an owl|{A}, snoring].")
    t.say("In the morning they ate the last of the {many} and turned back.", "At sunrise they [shared|finished] the {left}.")
    t.say("They went home the same way, first to {stop} and then to {A.home}.", "The way back led from {far} to {stop} and from {stop} to {A.home}.")
    ask(t, "B", "Did you find what you were looking for?", "A", "I went {why}, and I found a friend")


@plot
def quarrel(t):
    """Two neighbours quarrel over a trifle until a third finds the cause."""
    a, b = t.cast("A"), t.cast("B")
    c = t.cast("C", lambda p: p.trait in ("wise", "kind", "cheerful", "generous", "merry", "jolly", "patient"))
    cause, wrong, truth = t.dice.pick([
        ("the hedge", "had cut it too short", "a hungry goat had eaten it"), ("the gate", "had left it open", "the latch was rusty"),
        ("the apples", "had picked them at night", "the wind had shaken them down"), ("the noise", "had sung all night", "two owls had moved into the attic"),
        ("the well", "had muddied the water", "a frog had been digging there"), ("the bread", "had taken the last loaf", "it had slipped behind the oven"),
        ("the path", "had dug it up", "a mole was looking for worms"), ("the milk", "had drunk the cream", "the hedgehog came every night"),
        ("the bench", "had scratched it", "the cat had sharpened her claws on it")])
    n = t.dice.between(2, 12)
    t.set(cause=cause, wrong=wrong, truth=truth, weeks=number(n))
    opening(t)
    t.say("{A} and {B} had not spoken for {weeks} weeks, and all because of {cause}.", "For {weeks} weeks there had been war between {A} and {B}, on account of {cause}.")
    t.say("{A} said that {B} {wrong}. {B} said that {A} {wrong}.", "Each claimed that the other {wrong}.")
    t.say("When {A} came down the street, {B} crossed to the other side.", "At the inn {A} sat by the stove and {B} sat by the door.", "{A}, who {A.habit}, would not give way, and neither would {B}.")
    gossip(t)
    t.say("One evening {C} the {C.trade}, who {C.saying}, had had enough.", "At last {C} could bear it no longer.")
    walk(t, "C", c.home, a.home) if c.home is not a.home else weather_turn(t)
    ask(t, "C", "Why do you not speak to {B}?", "A", "Because of {cause}. {B} {wrong}")
    walk(t, "C", a.home, b.home) if a.home is not b.home else weather_turn(t)
    ask(t, "C", "And what do you say?", "B", "It was {A} who {wrong}")
    t.say("{C} said nothing, [fetched a lantern|sat down behind a wall] and kept watch all night. In the morning it was clear: {truth}.", "So {C} went and looked, which nobody had done in {weeks} weeks, and saw that {truth}.")
    t.say("{A} looked at {B}, and {B} looked at {A}, and both began to laugh.", "There was a long silence. Then {A} [coughed|grinned], and {B} held out {B.his} hand.")
    t.say("{weeks} weeks of silence, and {truth}!", "Now they sit on one bench every evening, and of {cause} they speak no more.")
    moral(t)


@plot
def harvest(t):
    """Everyone brings a share to a common pot; shares add up."""
    a = t.cast("A")
    people = [t.cast(r) for r in "BCD"]
    goods = t.dice.sample([g for g in lex.GOODS if " " not in g[0]][:20], 3)
    counts = [t.dice.between(1, 6) for _ in people]
    trouble = t.dice.pick(["the bridge had been washed away", "the barn had burned down", "a family had lost its cow", "the school roof had fallen in", "the ferry had sunk at its chain"])
    t.set(trouble=trouble, sum=number(sum(counts)), **{"g" + r: f"{number(n)} {g[0] if n == 1 else g[1]}" for r, n, g in zip("BCD", counts, goods)})
    opening(t)
    t.say("There was bad news: {trouble}.", "In the night {trouble}, and [nobody knew what to do|the village was sad].")
    t.line('"Everyone must bring something," said {A}, "then we can help."', '"If each of us gives a little, it will be enough," said {A}.')
    for role in t.dice.sample("BCD", 3):
        t.set(P=t.names[role], g=t.names["g" + role])
        t.say("{P} the {P.trade} brought {g}.", "{P}, who {P.habit}, came with {g}.", "From {P.home} came {P} with {g}.", "{P} [dragged|carried] {g} into the square.")
    ask(t, "A", "How many things have we now?", t.dice.pick("BCD"), "{gB}, {gC} and {gD}, that makes {sum}")
    weather_turn(t)
    t.set(dish=t.dice.pick(lex.DISHES))
    t.say("They worked [for a week|until {day} came round again|from dawn until dusk], {B} with the {B.tool}, {C} with the {C.tool}, and {A} cooked {dish} for all.")
    role = t.dice.pick("BCD")
    t.set(P=t.names[role], g=t.names["g" + role])
    t.say("When all was done, {A} asked who had given the {g}. It was {P}, and {P.he} got the first plate.", "And since the {g} of {P} had been [the sweetest|the largest|the first to be eaten], there was a cheer for the {P.trade}."
          if counts["BCD".index(role)] > 1 else "And there was a cheer for {P} the {P.trade}.")
    moral(t)


@plot
def guests(t):
    """A stranger comes to the inn and is known by three signs."""
    a = t.cast("A", lambda p: p.trade in ("innkeeper", "ferrywoman", "doctor", "baker", "lighthouse keeper", "forester", "weaver"))
    pool = [p for p in PEOPLE.values() if p.kin and p.name not in t.used_names]
    b = t.use("B", t.dice.pick(pool))
    word, kin = t.dice.pick(b.kin)
    t.use("C", kin) if kin is not a else None
    t.set(word=word, kin=kin)
    x, y = t.thing("X", ["hat", "coat", "cloak", "scarf"]), t.thing("Y", ["violin", "chest", "umbrella", "drum", "flute", "map", "purse"])
    town = t.dice.pick(["Northhaven", "Silverford", "Kingsbridge", "Greywater", "Applecross", "Ravenport"])
    t.set(town=town, dish=t.dice.pick(lex.DISHES), drink=t.dice.pick(lex.DRINKS))
    opening(t)
    t.say("There was a knock, and a stranger in {X.a} came in, carrying {Y.a}.", "Late in the evening somebody knocked. It was a stranger who wore {X.a} and held {Y.a}.")
    t.line('"Sit down and eat," said {A} and brought {dish} and {drink}.', '"You must be frozen," said {A}. "Here is {drink}."')
    ask(t, "A", "Where do you come from?", "B", "From {town}. I am looking for someone")
    t.say("More the guest would not say. {A} looked at {X} and at {Y} and wondered.", "The guest hung up {X} to dry but would not let go of {Y}.")
    weather_turn(t)
    t.say("Then {A} saw that the stranger {B.habit}, and there was only one who did that.", "\"I know someone who {B.saying},\" said {A} slowly.")
    t.line('"You are {B}!" cried {A}. "I have waited so long for you."' if kin is a else
           '"You are {B}!" cried {A}. "{kin} has been waiting for you."')
    t.say("It was {B} the {B.trade}, back from {town} after [seven years|a whole winter|a long voyage].")
    t.say("They sent for {kin}, {B.his} {word}, who came running [without shoes|with flour on both hands|in the middle of the night]." if kin is not a else "{A} laughed and wept at once, for {B} was no stranger to {A.him}.")
    t.say("In the luggage there was a present from {town} for everyone.", "\"I kept {Y} safe for you,\" said {B}, \"all the way from {town}.\"")
    t.say("And {X} hung by the stove until morning.", "They talked until {X} was dry and the cocks crowed.")


def tell(dice):
    """One whole story of acceptable length."""
    while True:
        t = Tale(dice)
        dice.pick(PLOTS)(t)
        text = t.text()
        if 80 <= len(text.split()) <= 300:
            return text
