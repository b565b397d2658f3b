"""The names and kinds of all items, as data. `items.py` has their prices."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Good:
    """One kind of item, without the values that change over time.

    Attributes:
        sub_type: the kind of a weapon, None for other items.
        category: Melee, Primary, Secondary, Temporary or Defensive; "" for all others.
    """

    id: int
    name: str
    type: str
    sub_type: str | None = None
    category: str = ""


_PLAIN = {
    ("Medical", 66): "Morphine|First Aid Kit|Small First Aid Kit|Blood Bag|Neumune Tablet|Ipecac",
    ("Tool", 103): "Courier Bag|Lockpicks|Laptop|Wire Cutters|Disguise Kit|Key Cloner|Zip Ties|"
    "Spotting Scope|Core Drill|Shaped Charge|Bleach|Crowbar|Jemmy|Head Torch|Megaphone|Net",
    ("Clothing", 120): "Tailcoat|Bow Tie|Top Hat|Duffle Coat|Overalls|Rain Boots|Fez|Kilt|Sandals|"
    "Dungarees|Waistcoat|Poncho|Flat Cap|Wellingtons|Lab Coat|Apron|Beret|Ball Gown|Cardigan|"
    "Gloves|Scarf|Sunglasses|Snorkel|Cowboy Hat|Mittens|Raincoat|Bathrobe|Trilby|Monocle|Cape",
    ("Alcohol", 180): "Bottle of Beer|Bottle of Stout|Bottle of Cider|Bottle of Sake|Bottle of Gin|"
    "Bottle of Rum|Bottle of Mead|Bottle of Tequila|Bottle of Champagne|Bottle of Absinthe",
    ("Drug", 196): "Cannabis|Ecstasy|Ketamine|LSD|Opium|PCP|Shrooms|Speed|Vicodin|Love Juice|Xanax",
    ("Candy", 209): "Box of Chocolates|Bag of Candy Kisses|Lollipop|Bag of Bon Bons|Jawbreaker|"
    "Bag of Sherbet|Pixie Sticks|Box of Sweet Hearts|Candy Cane|Bag of Liquorice|Rock Stick",
    ("Flower", 260): "Dahlia|Crocus|Orchid|Heather|Banana Orchid|Cherry Blossom|Edelweiss|Peony|"
    "African Violet|Tribulus|Ceibo Flower|Snowdrop|Rose|Tulip|Daffodil",
    ("Plushie", 278): "Jaguar Plushie|Wolverine Plushie|Nessie Plushie|Red Fox Plushie|"
    "Monkey Plushie|Chamois Plushie|Panda Plushie|Lion Plushie|Camel Plushie|Stingray Plushie|"
    "Sheep Plushie|Teddy Bear Plushie|Kitten Plushie|Badger Plushie|Hedgehog Plushie",
    ("Jewelry", 300): "Plain Ring|Gold Ring|Sapphire Ring|Diamond Ring|Pearl Necklace|Silver Chain|"
    "Gold Watch|Amber Brooch|Onyx Cufflinks|Platinum Tiara|Ruby Earrings|Jade Bangle",
    ("Supply Pack", 364): "Box of Grenades|Box of Medical Supplies|Cash Box|Coin Purse|Tool Pack|"
    "Ammunition Pack|Drug Pack|Candy Jars|Keg of Beer|Six Pack of Energy Drink|Lawyer Card Pack",
    ("Car", 380): "Hatchling|Cosmo GT|Little Oscar|Trident|Volta|Tumbler|Nano 500|Veloce 12|Bumble|"
    "Stallion V8|Limo XL|Tortoise|Comet R|Knight 110|Zephyr Z|Prowler|Sabre S|Wagon D|Duke LX|Ion",
    ("Collectible", 410): "Model Tram|Snow Globe 2019|Snow Globe 2020|Snow Globe 2021|Tin Soldier|"
    "Ship in a Bottle|Signed Glove|Old Banknote|Misprinted Stamp|Music Box|Puppet|Chess King|"
    "Meteorite Splinter|Vinyl Single|Film Prop|Trading Card|Snow Globe 2022|Snow Globe 2023",
    ("Energy Drink", 530): "Can of Goose Juice|Can of Damp Valley|Can of Crocozade|Can of Munster|"
    "Can of Red Cow|Can of Rockstar Rudolph|Can of Taurine Elite|Can of X-MASS",
    ("Booster", 545): "Feathery Hotel Coupon|Erotic DVD|Gift Card|Lottery Voucher|Points Bond",
    ("Enhancer", 560): "Card Skimmer|Tractor Toy|Jigger Set|Bolt Cutters|Blank Tokens|Chloroform|"
    "Binder|Fake Moustache|Sonar Toy|Net Launcher",
    ("Material", 575): "Copper Wire|Glass Vial|Gunpowder|Nylon Rope|Sheet Metal|Charcoal|Sulphur|"
    "Duct Tape|Circuit Board|Plywood|Resin|Hinges|Gasket|Bearings|Rubber Hose",
    ("Special", 600): "Cesium-137|Donator Pack|Business Class Ticket|Dice Cup|Parachute|Skateboard",
    ("Artifact", 610): "Clay Tablet|Bronze Mask|Sun Disc|Jade Turtle|Bone Flute|Scroll Fragment",
    (
        "Book",
        740,
    ): "The Art of Waiting|Fences and How to Find Them|A Thief's Almanac|Brick by Brick|"
    "Gym Days|Ledger of Lies|Night Classes|The Long Con|Medicine at Home|The Quiet Getaway",
    ("Other", 770): "Empty Box|Ball of Wool|Kitchen Sink|Garden Gnome|Rubber Duck|Traffic Cone|"
    "Broken Umbrella|Alarm Clock|Jar of Buttons|Doorstop|Fire Hydrant|Shopping Trolley|Toaster",
    ("Unused", 800): "Mystery Item|Test Item",
}

_ARMS = {
    ("Clubbing", "Melee", 1): "Hammer|Baseball Bat|Crowbar Mk II|Golf Club|Cricket Bat|Mace",
    ("Piercing", "Melee", 8): "Pen Knife|Dagger|Letter Opener|Fencing Foil|Ice Pick|Spear",
    ("Slashing", "Melee", 15): "Kitchen Knife|Scimitar|Katana|Machete|Axe|Cutlass|Claymore Sword",
    ("Mechanical", "Melee", 23): "Chainsaw|Nail Gun|Hedge Trimmer",
    (
        "Pistol",
        "Secondary",
        27,
    ): "Glock 17|Beretta 92FS|Luger|Magnum|Desert Eagle|Taurus|Cobra Derringer",
    ("SMG", "Secondary", 35): "MP5 Navy|Uzi|Skorpion|Thompson|P90|Bushmaster Carbon 15",
    ("Shotgun", "Primary", 42): "Sawed-Off Shotgun|Benelli M1|Mossberg 500|Ithaca 37",
    ("Rifle", "Primary", 47): "AK-47|M4A1|Enfield SA-80|SIG 550|Steyr AUG|Tavor TAR-21|M16 A2",
    ("Machine gun", "Primary", 55): "M249 SAW|PKM|Minigun|Negev NG-5",
    ("Heavy artillery", "Secondary", 60): "RPG Launcher|Flare Gun|Milkor MGL|SMAW Launcher",
    (
        "Temporary",
        "Temporary",
        222,
    ): "Grenade|Flash Grenade|Smoke Grenade|Tear Gas|Pepper Spray|Brick|"
    "Snowball|Trout|Fireworks|Claymore Mine|Molotov Cocktail|Throwing Knife|Sand|Nerve Gas",
}

_SUITS = ("Leather", "Police", "Riot", "Assault", "Dune", "Delta", "Vanguard", "Sentinel")
_PIECES = ("Helmet", "Body", "Pants", "Boots", "Gloves")


def _goods() -> tuple[Good, ...]:
    goods = [
        Good(first + place, name, kind)
        for (kind, first), names in _PLAIN.items()
        for place, name in enumerate(names.split("|"))
    ]
    goods += [
        Good(first + place, name, "Weapon", sub_type, category)
        for (sub_type, category, first), names in _ARMS.items()
        for place, name in enumerate(names.split("|"))
    ]
    pieces = (f"{suit} {piece}" for suit in _SUITS for piece in _PIECES)
    goods += [
        Good(640 + place, name, "Armor", None, "Defensive") for place, name in enumerate(pieces)
    ]
    return tuple(sorted(goods, key=lambda good: good.id))


GOODS = _goods()
