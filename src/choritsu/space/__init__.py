"""Search spaces: what can be tried. The only log and step arithmetic of the project lives here."""

from choritsu.space.axes import Sampling as Sampling
from choritsu.space.combinations import Combination as Combination
from choritsu.space.combinations import Tried as Tried
from choritsu.space.combinations import combination as combination
from choritsu.space.combinations import untried as untried
from choritsu.space.draws import drawn as drawn
from choritsu.space.parameters import UNSAID as UNSAID
from choritsu.space.parameters import Boolean as Boolean
from choritsu.space.parameters import Choice as Choice
from choritsu.space.parameters import Condition as Condition
from choritsu.space.parameters import Fixed as Fixed
from choritsu.space.parameters import Float as Float
from choritsu.space.parameters import Int as Int
from choritsu.space.parameters import Parameter as Parameter
from choritsu.space.parameters import parameter_from_json as parameter_from_json
from choritsu.space.space import Space as Space
from choritsu.space.space import describe_size as describe_size
from choritsu.space.space import redefined as redefined
from choritsu.space.values import Json as Json
from choritsu.space.values import canonical as canonical
from choritsu.space.values import decode as decode
from choritsu.space.values import encode as encode
from choritsu.space.values import plain as plain
