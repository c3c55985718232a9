"""Words that the shop's people, products and texts are made of."""

from __future__ import annotations

GIVEN_NAMES = (
    "Ada Ahmed Aiko Alice Amara Amit Ana Anders Anna Astrid Ayşe Beatriz Björn Carla Chen Chidi Chloé Clara Dario "
    "David Diego Dina Elena Elif Emil Emma Erik Eva Farah Fatima Felix Fiona Francesca George Grace Hana Hannah "
    "Hiroshi Hugo Ines Ingrid Isaac Ivan Jamal Jana Javier Joana Jonas José Julia Kaito Karim Katarzyna Kofi Lars "
    "Laura Lea Leila Leo Liam Lina Lucía Luis Lukas Magda Malik Marco Maria Marta Mateo Maya Mehmet Mei Mia Miguel "
    "Mina Mohammed Nadia Naomi Nia Nikolai Nina Noah Nora Olga Oliver Omar Oscar Paolo Paula Pedro Petra Priya "
    "Rafael Raj Rana Rosa Ruth Sami Samuel Sara Sofia Søren Tariq Theo Tomás Uma Vera Viktor Wei Yara Yuki Yusuf Zoë"
).split()
FAMILY_NAMES = (
    "Abe Adeyemi Ahmed Almeida Andersen Bauer Becker Berg Bianchi Bondarenko Brown Castro Chen Cohen Costa Dąbrowski "
    "Diallo Dubois Eriksen Evans Fernández Ferrari Fischer Fontaine García Gupta Haddad Hansen Hernández Hoffmann "
    "Horváth Hughes Ibrahim Ito Ivanov Jansen Jensen Johnson Kaya Khan Kim Kovács Kowalski Kumar Laine Larsen Lee "
    "Lindqvist Lopes López Mäkinen Marino Martin Martínez Mensah Meyer Moreau Müller Mwangi Nagy Nakamura Nguyen "
    "Nielsen Novák Nowak O'Brien Okafor Oliveira Olsen Öztürk Papadopoulos Park Patel Pereira Petrov Popescu Rossi "
    "Ruiz Saito Santos Sato Schmidt Schneider Silva Singh Smith Svensson Takahashi Tanaka Torres Tran Weber Wong Yilmaz"
).split()
CITIES = (
    "Accra Amsterdam Ankara Athens Barcelona Berlin Bologna Bruges Budapest Cairo Copenhagen Cork Dakar Delhi Dublin "
    "Genoa Ghent Göteborg Graz Hamburg Helsinki Istanbul Kraków Kyoto Lagos Leeds Leipzig Lille Lisbon Ljubljana "
    "London Lyon Madrid Malmö Milan Montréal Nairobi Nantes Osaka Oslo Paris Porto Prague Riga Rome Seoul Seville "
    "Tallinn Toronto Trieste Turin Utrecht Valencia Vienna Vilnius Warsaw Zagreb Zürich"
).split()
ADJECTIVES = (
    "amber black blue brown classic compact cosy crimson folding green grey handmade heavy ivory large light little "
    "mini modern orange organic pink plain portable purple quiet rapid red reversible round sharp silent silver slim "
    "small soft solid square striped strong tall teal thin tiny vintage warm waterproof white wide yellow"
).split()
MATERIALS = (
    "bamboo brass canvas ceramic clay copper cork cotton denim felt glass granite hemp iron leather linen marble "
    "nylon oak paper pine porcelain rattan rubber silk slate steel suede titanium velvet walnut wax willow wool"
).split()
THINGS = {
    "clothing": "apron belt boots cap cardigan coat dress gloves hat jacket jeans scarf shirt shoes socks sweater",
    "home": "basket blanket bowl candle chair clock cushion desk frame lamp mirror mug rug shelf stool table vase",
    "kitchen": "board bottle grinder jar kettle knife ladle pan peeler pot scale skillet spoon tray whisk",
    "garden": "bench fork hose lantern planter rake shears shovel spade trellis trowel",
    "outdoor": "backpack bicycle compass hammock helmet kayak rope stove tent thermos torch",
    "music": "banjo drum flute guitar harmonica keyboard trumpet ukulele violin",
    "toys": "ball blocks doll kite marionette puzzle robot train yo-yo",
}
BOOK_TOPICS = (
    "algorithms astronomy baking caching chess databases drawing ecology geometry grammar history jazz knitting linux "
    "mathematics networks origami philosophy photography python rust sailing statistics typography weaving"
).split()
BOOK_FORMS = "atlas cookbook dictionary guide handbook notebook primer reader".split()
SENTENCE_PARTS = (
    (
        "After a week of daily use|At first I had my doubts, but|For the price|I bought this for my sister and|"
        "If you are as fussy as I am|In our small kitchen|It arrived two days early and|My neighbour has one too and|"
        "On the second day of the trip|Since we moved house|The old one lasted ten years, so|To my surprise|"
        "We looked at many of them and|When the parcel came"
    ).split("|"),
    (
        "it does exactly what it says|it feels lighter than it looks|it has become the one that everybody reaches for|"
        "the colour is a little darker than in the picture|the finish is better than I had hoped|"
        "the seams are straight and nothing rattles|the size is right for two people|we could not find a single flaw|"
        "you notice at once that somebody thought about the details|it needed ten minutes and one tool to put together|"
        "the handle sits well in the hand|cleaning takes a minute under warm water|it survived a fall from the table|"
        "the instructions could be clearer"
    ).split("|"),
    (
        "and I would buy it again.|but the box was far too large.|and it still looks new.|"
        "although the delivery was slow.|which is all that I ask for.|so it is staying.|and the children love it.|"
        "but do measure before you order.|"
        "and the shop answered my question within the hour.|even in the rain.|and that is rare these days.|"
        "so four stars and not five.|and it packs away flat.|as a present it was a success."
    ).split("|"),
)


def subjects() -> list[str]:
    """What products are, and their categories: each of these words finds some."""
    things = [thing for words in THINGS.values() for thing in words.split()]
    return [*BOOK_TOPICS, *things, *BOOK_FORMS, *THINGS, "books"]


def descriptions() -> list[str]:
    """What products are like: each of these words finds some, most of them together with a subject too."""
    return [*ADJECTIVES, *MATERIALS]
