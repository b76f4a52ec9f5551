"""Every example number of every region and kind, in the spellings that people use: lines of spelling and E.164."""

import phonenumbers as p
from phonenumbers import PhoneNumberFormat as F, PhoneNumberType as T

KINDS = [getattr(T, name) for name in dir(T) if name.isupper() and name != "UNKNOWN"]
numbers = set()
for region in p.SUPPORTED_REGIONS:
    numbers.update(p.format_number(n, F.E164) for n in (p.example_number_for_type(region, kind) for kind in KINDS) if n)
for code in p.COUNTRY_CODES_FOR_NON_GEO_REGIONS:
    example = p.example_number_for_non_geo_entity(code)
    if example:
        numbers.add(p.format_number(example, F.E164))
for e164 in sorted(numbers):
    number = p.parse(e164)
    spellings = [e164, p.format_number(number, F.INTERNATIONAL)]
    prefix = p.ndd_prefix_for_region(p.region_code_for_number(number) or "", True)
    national = p.national_significant_number(number)
    trunk = f"+{number.country_code} ({prefix}) {national}"
    # Only where Google reads it as the same number, too.
    if prefix and p.format_number(p.parse(trunk), F.E164) == e164:
        spellings.append(trunk)
    for spelling in spellings:
        print(f"{spelling}\t{e164}")
