"""Japanese names in Chinese characters: the common ones, by their readings.

Most characters have a Japanese and a Chinese reading, and nothing in a name says which is meant.
A surname that only Japanese people have says it; with a given name we know beside it, both are
read as Japanese.
"""

from __future__ import annotations

import re

_SURNAMES = {
    "佐藤": "sato", "鈴木": "suzuki", "高橋": "takahashi", "田中": "tanaka", "伊藤": "ito",
    "渡辺": "watanabe", "渡邊": "watanabe", "山本": "yamamoto", "中村": "nakamura",
    "小林": "kobayashi", "加藤": "kato", "吉田": "yoshida", "山田": "yamada", "佐々木": "sasaki",
    "山口": "yamaguchi", "松本": "matsumoto", "井上": "inoue", "木村": "kimura", "清水": "shimizu",
    "山崎": "yamazaki", "池田": "ikeda", "橋本": "hashimoto", "阿部": "abe", "安倍": "abe",
    "石川": "ishikawa", "山下": "yamashita", "中島": "nakajima", "石井": "ishii", "小川": "ogawa",
    "前田": "maeda", "岡田": "okada", "長谷川": "hasegawa", "藤田": "fujita", "後藤": "goto",
    "近藤": "kondo", "村上": "murakami", "遠藤": "endo", "青木": "aoki", "坂本": "sakamoto",
    "斎藤": "saito", "斉藤": "saito", "齋藤": "saito", "福田": "fukuda", "太田": "ota",
    "西村": "nishimura", "藤井": "fujii", "金子": "kaneko", "岡本": "okamoto", "藤原": "fujiwara",
    "中野": "nakano", "三浦": "miura", "原田": "harada", "中川": "nakagawa", "松田": "matsuda",
    "竹内": "takeuchi", "小野": "ono", "田村": "tamura", "中山": "nakayama", "和田": "wada",
    "石田": "ishida", "森田": "morita", "上田": "ueda", "内田": "uchida", "柴田": "shibata",
    "酒井": "sakai", "宮崎": "miyazaki", "横山": "yokoyama", "高木": "takagi", "安藤": "ando",
    "宮本": "miyamoto", "大野": "ono", "小島": "kojima", "谷口": "taniguchi", "今井": "imai",
    "工藤": "kudo", "増田": "masuda", "丸山": "maruyama", "杉山": "sugiyama", "村田": "murata",
    "大塚": "otsuka", "新井": "arai", "平野": "hirano", "藤本": "fujimoto", "河野": "kono",
    "武田": "takeda", "上野": "ueno", "野口": "noguchi", "松井": "matsui", "千葉": "chiba",
    "菅原": "sugawara", "岩崎": "iwasaki", "久保": "kubo", "佐野": "sano", "野村": "nomura",
    "松尾": "matsuo", "菊地": "kikuchi", "木下": "kinoshita", "古川": "furukawa", "黒田": "kuroda",
    "岸田": "kishida", "石破": "ishiba", "麻生": "aso", "小泉": "koizumi", "鳩山": "hatoyama",
}  # fmt: skip
_GIVEN = {
    "太郎": "taro", "一郎": "ichiro", "次郎": "jiro", "三郎": "saburo", "健": "ken",
    "健一": "kenichi", "健太": "kenta", "健二": "kenji", "誠": "makoto", "浩": "hiroshi",
    "博": "hiroshi", "浩二": "koji", "明": "akira", "清": "kiyoshi", "隆": "takashi",
    "修": "osamu", "進": "susumu", "豊": "yutaka", "実": "minoru", "茂": "shigeru",
    "勇": "isamu", "正": "tadashi", "大輔": "daisuke", "翔": "sho", "翔太": "shota",
    "拓也": "takuya", "直樹": "naoki", "和也": "kazuya", "達也": "tatsuya", "哲也": "tetsuya",
    "裕子": "yuko", "優子": "yuko", "陽子": "yoko", "洋子": "yoko", "花子": "hanako",
    "恵子": "keiko", "京子": "kyoko", "和子": "kazuko", "幸子": "sachiko", "節子": "setsuko",
    "智子": "tomoko", "久美子": "kumiko", "由美子": "yumiko", "由美": "yumi", "真由美": "mayumi",
    "明美": "akemi", "直美": "naomi", "美咲": "misaki", "愛": "ai", "葵": "aoi",
    "桜": "sakura", "美香": "mika", "恵": "megumi", "純一": "junichi", "純一郎": "junichiro",
    "晋三": "shinzo", "文雄": "fumio", "太一": "taichi", "悠": "yu", "蓮": "ren",
    "大翔": "hiroto", "結衣": "yui", "陽菜": "hina", "千代子": "chiyoko", "春樹": "haruki",
    "英樹": "hideki", "秀樹": "hideki", "弘": "hiroshi", "義雄": "yoshio", "武": "takeshi",
    "剛": "tsuyoshi", "学": "manabu", "徹": "toru", "光": "hikaru", "大介": "daisuke",
}  # fmt: skip

_NAME = re.compile(
    "(?<![\u4e00-\u9fff])({})\\s*({})(?![\u4e00-\u9fff])".format(
        "|".join(sorted(_SURNAMES, key=len, reverse=True)),
        "|".join(sorted(_GIVEN, key=len, reverse=True)),
    )
)


def romanise(text: str) -> str:
    """Replace names that are Japanese beyond doubt; leave the rest as it is.

    >>> romanise("山田太郎"), romanise("王伟")
    ('yamada taro', '王伟')
    """
    return _NAME.sub(lambda found: f"{_SURNAMES[found[1]]} {_GIVEN[found[2]]}", text)
